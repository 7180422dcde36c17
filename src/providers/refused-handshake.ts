import { HookonceError } from "../errors.ts";

export const NO_HANDSHAKE =
  "This source does not answer this handshake. If the provider asks for a verify token, the source's verify_token must be the same.";

/**
 * For a GET, HEAD or OPTIONS that is not one of the source's handshakes. The answer gives no reason, because anyone
 * may ask.
 *
 * @param why for the doctor
 */
export function noHandshake(why: string): HookonceError {
  return new HookonceError("handshake_refused", NO_HANDSHAKE, { cause: why });
}

/** Why a delivery was refused, for people who may read the inbox. */
export function whyRefused({ code, message, cause }: HookonceError): string {
  return code === "handshake_refused" && typeof cause === "string" ? cause : message;
}
