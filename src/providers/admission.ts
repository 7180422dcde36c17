import type { Head } from "../event.ts";
import { HookonceError } from "../errors.ts";
import { isMultipart } from "./body/multipart.ts";
import { isGzip } from "./body/payload.ts";
import type { HeaderCheck } from "./context.ts";
import { MAX_UNSIGNED_HANDSHAKE, type Handshakes } from "./handshake.ts";

/** How much of a body is worth reading. */
export interface Admission {
  /** In bytes. */
  readonly maxBytes: number;
  /** Makes the error for a body that turns out to be larger. */
  readonly refuse: () => HookonceError;
}

export interface AdmissionRules {
  /** In bytes. */
  readonly maxBody: number;
  /**
   * The same for a body that is not multipart, in bytes. JSON of 30 MiB that is not verified could take a
   * gigabyte once it is parsed; a multipart body has at most 1,000 fields.
   */
  readonly maxOther: number;
  readonly checkHeaders: HeaderCheck;
  /** The body must be read before anything can be verified. */
  readonly signatureInBody: boolean;
  readonly handshakes: Handshakes | undefined;
}

/**
 * Refuses whatever can be refused before a body is read, inflated or parsed, because anyone can send bodies.
 *
 * @returns a function that throws `body_too_large`, `unsupported_content_type`, or what the scheme's header
 *   check throws
 */
export function createAdmission(rules: AdmissionRules): (head: Head) => Admission {
  const { checkHeaders, signatureInBody, handshakes } = rules;
  const [multipart, other] = [rules.maxBody, rules.maxOther].map((limit): Admission => ({
    maxBytes: limit,
    refuse: () => tooLarge(limit),
  })) as [Admission, Admission];
  return (head) => {
    const delivery = multipart.maxBytes !== other.maxBytes && isMultipart(head.headers) ? multipart : other;
    const maxBody = delivery.maxBytes;
    const declared = Number(head.headers["content-length"] ?? 0);
    if (declared > maxBody) throw tooLarge(maxBody);
    if (signatureInBody) requireReadable(head.headers["content-type"]);
    try {
      checkHeaders(head);
      return delivery;
    } catch (refusal) {
      const mayFollow =
        refusal instanceof HookonceError &&
        declared <= MAX_UNSIGNED_HANDSHAKE &&
        !isGzip(head.headers) &&
        handshakes?.mayBeUnsigned(head) === true;
      if (!mayFollow) throw refusal;
      return { maxBytes: Math.min(maxBody, MAX_UNSIGNED_HANDSHAKE), refuse: () => refusal };
    }
  };
}

/**
 * In bytes. The body of a real delivery inflates to less than this, or to less than ten times its own size.
 */
const ALWAYS_INFLATED = 64 * 1024;
const MAX_RATIO = 10;

/**
 * How many bytes a compressed body may inflate to before its signature is verified. Without this limit, 1 kB
 * costs as much as 1 MiB.
 */
export function maxUnverified(body: Uint8Array): number {
  return Math.max(ALWAYS_INFLATED, body.byteLength * MAX_RATIO);
}

/**
 * Content types under which providers send JSON and forms. Mailgun sends mail as multipart/form-data. SNS calls
 * its JSON text/plain.
 */
const READABLE =
  /^(?:text\/|multipart\/form-data(?:\s*;|$)|application\/(?:[\w.+-]*json|x-www-form-urlencoded|octet-stream)(?:\s*;|$))/i;

function requireReadable(type: string | undefined): void {
  if (type === undefined || type === "" || READABLE.test(type)) return;
  throw new HookonceError(
    "unsupported_content_type",
    `The Content-Type is ${JSON.stringify(type.slice(0, 100))}, but this source reads the signature from the body. Send JSON or a form.`,
  );
}

function tooLarge(limit: number): HookonceError {
  return new HookonceError(
    "body_too_large",
    `The body is larger than ${limit} bytes, the limit of this source (max_body).`,
  );
}
