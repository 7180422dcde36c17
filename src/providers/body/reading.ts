import type { Delivery } from "../../event.ts";
import { exactJson, isForm, parseBody, type ParsedBody } from "./payload.ts";
import type { Scheme } from "../schemes.ts";
import { parseWithExactNumbers } from "./selector.ts";
import { signedBodyOf } from "../schemes/signed-request.ts";
import { signedFields } from "../schemes/twilio.ts";

/** What the payload of a delivery is. Throws `json_too_deep` and `body_too_large`, never for what is no JSON. */
export type Reading = (delivery: Pick<Delivery, "headers" | "body">) => ParsedBody;

/**
 * What is verified and what is handed on must be one reading of the body. Where the raw bytes are signed that needs no care; where the
 * signature covers something that is read out of them, the payload is made of just that.
 *
 * @param maxInflated in bytes
 */
export function createReading(scheme: Scheme, formField: string | undefined, maxInflated: number): Reading {
  const asItCame: Reading = (delivery) => parseBody(delivery, formField, maxInflated);
  switch (scheme.kind) {
    case "hmac":
    case "public-key":
      if (scheme.signedFormField === undefined) return asItCame;
      return (delivery) => {
        if (!isForm(delivery.headers)) return asItCame(delivery);
        const signed = signedBodyOf(scheme, delivery);
        return { ...parseBody({ headers: {}, body: signed }), signed };
      };
    case "twilio":
      return (delivery) => (isForm(delivery.headers) ? readForm(delivery.body) : asItCame(delivery));
    case "adyen":
    case "mailgun":
    case "sns":
      return (delivery) => withoutRepetition(asItCame(delivery));
    case "static":
    case "unsigned":
    case "contentful":
    case "netlify":
    case "plaid":
    case "paypal":
      return asItCame;
  }
}

/** Nothing that leads a form's body makes it JSON here, and nothing is inflated: neither is done for the signature. */
function readForm(body: Uint8Array): ParsedBody {
  const fields = signedFields(body).map(([name, values]) => [name, values.length === 1 ? values[0] : values]);
  const payload: unknown = Object.fromEntries(fields);
  const json = JSON.stringify(payload);
  return { payload, json, problem: null, signed: json };
}

/** Of a key that is given twice JavaScript reads the last, which is what was verified; SQLite would read the first. */
function withoutRepetition(body: ParsedBody): ParsedBody {
  return body.json === null ? body : { ...body, json: exactJson(parseWithExactNumbers(body.json)) };
}
