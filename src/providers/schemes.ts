import { adyen } from "./schemes/adyen.ts";
import { braintree } from "./schemes/braintree.ts";
import { contentful } from "./schemes/contentful.ts";
import { hmac } from "./schemes/hmac.ts";
import { mailgun } from "./schemes/mailgun.ts";
import { netlify } from "./schemes/netlify.ts";
import { paypal } from "./schemes/paypal.ts";
import { plaid } from "./schemes/plaid.ts";
import { publicKey } from "./schemes/public-key.ts";
import type { SchemeKind } from "./schemes/scheme.ts";
import { sns } from "./schemes/sns.ts";
import { staticSecret } from "./schemes/static.ts";
import { token } from "./schemes/token.ts";
import { twilio } from "./schemes/twilio.ts";
import { unsigned } from "./schemes/unsigned.ts";

/** Every kind of scheme. A new one is a file in schemes/ and its name here. */
const kinds = [
  hmac,
  publicKey,
  staticSecret,
  unsigned,
  twilio,
  mailgun,
  adyen,
  braintree,
  contentful,
  netlify,
  plaid,
  sns,
  paypal,
  token,
] as const;

/** How a provider signs: a literal of one of the kinds. */
export type Scheme = Parameters<(typeof kinds)[number]["createVerifier"]>[0];

/** Every kind of scheme by its name. */
export const schemeKinds: ReadonlyMap<string, SchemeKind<Scheme>> = new Map(
  kinds.map((kind) => [kind.kind, kind as SchemeKind<Scheme>]),
);

/** What is known about this kind of scheme. Pass the scheme itself to its functions. */
export function kindOf(scheme: Scheme): SchemeKind<Scheme> {
  return schemeKinds.get(scheme.kind) as SchemeKind<Scheme>;
}
