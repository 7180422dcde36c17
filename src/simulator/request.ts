import type { OutgoingRequest } from "../providers/context.ts";
import { changeBody } from "../providers/body/payload.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { Example, Seed } from "./example.ts";

/** A provider's delivery of these events, not yet signed. */
export function requestOf(example: Example, seeds: readonly [Seed, ...Seed[]], url: string): OutgoingRequest {
  const { event, wrap, headers, form, contentType = "application/json" } = example;
  const [first] = seeds;
  const payload = wrap === undefined ? event(first) : wrap(seeds.map(event), first);
  return {
    method: "POST",
    url,
    headers: {
      "content-type": form === undefined ? contentType : "application/x-www-form-urlencoded",
      ...headers?.(first),
    },
    body: Buffer.from(textOf(payload, form)),
  };
}

function textOf(payload: unknown, form: Example["form"]): string {
  if (form === undefined) return JSON.stringify(payload);
  const fields =
    form === "fields" ? (payload as Record<string, string>) : { [form.field]: JSON.stringify(payload) };
  return new URLSearchParams(fields).toString();
}

/** Why a receiver would not notice a changed body; undefined if it would. */
export function whyNotTampered(scheme: Scheme): string | undefined {
  return kindOf(scheme).unsignedBody(scheme);
}

/** Returns a signed request with one value of its body changed after signing. */
export function tampered(
  request: OutgoingRequest,
  scheme: Scheme,
  { formField }: Pick<Provider, "formField">,
): OutgoingRequest {
  const key = kindOf(scheme).signedField;
  let done = false;
  const change = (value: unknown, name: string): unknown => {
    if (done) return value;
    if (typeof value === "string" && (key === undefined || name === key)) {
      done = true;
      return `${value}-tampered`;
    }
    if (Array.isArray(value)) return value.map((one) => change(one, name));
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
      return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(one, name)]));
  };
  const body = changeBody(request, (payload) => change(payload, ""), formField);
  return { ...request, body: done ? body : Buffer.concat([request.body, Buffer.from(" ")]) };
}

/**
 * How long ago a delivery must have been signed to be refused, in milliseconds.
 *
 * @returns undefined if the age of a signature is not checked
 */
export function staleAge(scheme: Scheme): number | undefined {
  const seconds = kindOf(scheme).tolerance(scheme);
  return seconds === undefined ? undefined : (seconds + 60) * 1000;
}
