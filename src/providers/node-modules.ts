import type NodeCrypto from "node:crypto";
import type NodeZlib from "node:zlib";

// These modules are loaded on first use. With the streams that they import, they take 10 to 13 ms, an eighth
// of a start, and most sources need neither. Do not import them statically in any file that `serve` imports.

/** For public keys and certificates. Bun has the rest built in: CryptoHasher and `crypto.timingSafeEqual`. */
export function nodeCrypto(): typeof NodeCrypto {
  return process.getBuiltinModule("node:crypto");
}

/** For gzip, because Bun's own gunzipSync cannot limit the size of its output. */
export function nodeZlib(): typeof NodeZlib {
  return process.getBuiltinModule("node:zlib");
}
