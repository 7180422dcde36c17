import { withCode } from "../errors.ts";

/** No connection was made, so another address of the same name may do better. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EAFNOSUPPORT",
  "EACCES",
  "EPERM",
  "EINVAL",
]);

export function isNotConnected(error: unknown): boolean {
  return NOT_CONNECTED.has(codeOf(error));
}

/**
 * Says why there was no answer.
 *
 * @param place the host and port of the destination, perhaps with the addresses that were tried
 */
export function connectionError(error: unknown, place: string): string {
  const code = codeOf(error);
  switch (code) {
    case "ECONNREFUSED":
      return `nothing listens at ${place}`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `there is no route to ${place}`;
    case "ECONNRESET":
      return `the connection to ${place} was reset, or closed before a whole answer`;
    case "Malformed_HTTP_Response":
    case "InvalidHTTPResponse":
    case "UnrequestedUpgrade":
      return `the answer of ${place} is not HTTP`;
    case "ResponseHeadersTooLarge":
      return `the headers of the answer of ${place} are too large`;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate of ${place} is for another name`;
    case "CERT_HAS_EXPIRED":
      return `the certificate of ${place} has expired`;
    case "EPROTO":
      return `${place} does not speak TLS: write http:// if it is meant to be unencrypted`;
  }
  if (UNTRUSTED.has(code))
    return `this machine does not trust the certificate of ${place} (${code}): put the certificate of its authority into a file, and name it in NODE_EXTRA_CA_CERTS`;
  return `the request to ${place} failed: ${withCode(error)}`;
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Says why the name of a host has no address. */
export function lookupError(error: unknown, hostname: string): string {
  const code = codeOf(error);
  return code === "ENOTFOUND" || code === "ENODATA"
    ? `the name ${hostname} is not known`
    : `the name ${hostname} cannot be looked up now: ${withCode(error)}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
