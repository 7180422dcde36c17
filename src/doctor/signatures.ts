import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

/** The same bytes in another encoding, or another hash: for sources that are spelled out, and for signers of one's own. */
export function* writtenOtherwise({ scheme, delivery }: Examined): Generator<Hypothesis> {
  if (scheme.kind !== "hmac") return;
  const { header, prefix } = scheme.signature;
  const given = delivery.headers[header];
  if (given === undefined) return;
  const { prefix: _, separator: __, ...bare } = scheme.signature;
  if (prefix !== undefined) {
    yield written(
      `The signature in ${header} lacks its prefix ${prefix}`,
      `Let the sender write ${prefix} before it, or set signature.prefix = "" for this source.`,
      { scheme: { ...scheme, signature: bare } },
    );
  } else {
    const found = /^[a-z][a-z0-9-]*[=,:]/i.exec(given)?.[0];
    if (found !== undefined) {
      yield written(
        `The signature in ${header} has the prefix ${found}, which is taken for a part of it.`,
        `Set signature.prefix = "${found}" for this source.`,
        { scheme: { ...scheme, signature: { ...bare, prefix: found } } },
      );
    }
  }
  for (const encoding of ["hex", "base64", "base64url"] as const) {
    if (encoding === scheme.encoding) continue;
    yield written(
      `${RIGHT}written in ${encoding} instead of ${scheme.encoding}.`,
      `Set signature.encoding = "${encoding}" for this source, or let the sender write ${scheme.encoding}.`,
      { scheme: { ...scheme, encoding } },
    );
  }
  if (scheme.encoding === "hex") {
    const start = prefix ?? "";
    const lower = given.startsWith(start)
      ? start + given.slice(start.length).toLowerCase()
      : given.toLowerCase();
    yield written(`${RIGHT}written in capitals.`, "Let the sender write it in lower case.", {
      delivery: { ...delivery, headers: { ...delivery.headers, [header]: lower } },
    });
  }
  for (const algorithm of ["sha1", "sha256", "sha512", "md5"] as const) {
    if (algorithm === scheme.algorithm) continue;
    yield written(
      `It is signed with HMAC-${algorithm.toUpperCase()}, not HMAC-${scheme.algorithm.toUpperCase()}.`,
      `Set signature.algorithm = "${algorithm}" for this source, or change the sender's.`,
      { scheme: { ...scheme, algorithm } },
    );
  }
  if (scheme.signed !== "{body}") {
    yield written(
      `Only the body is signed, not ${scheme.signed}.`,
      'Set signature.signed = "{body}" for this source, or change the sender: without the time in it, an old delivery can be sent again.',
      { scheme: { ...scheme, signed: "{body}" } },
    );
  }
}

/** Not to be said where that is not all. */
const RIGHT = "The signature is right, and ";

function written(what: string, remedy: string, change: Hypothesis["change"]): Hypothesis {
  const half = { what: what.replace(RIGHT, "The signature is ") };
  return { cause: "signature_written_otherwise", change, what, remedy, half };
}
