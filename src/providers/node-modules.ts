import type NodeCrypto from "node:crypto";
import type NodeZlib from "node:zlib";

// Loaded on first use. With the streams that they load they would take an eighth of every start (10 to 13
// ms), and most sources need neither. One static import of them in any file that `serve` imports would load
// them.

/** For public keys and certificates. Bun has the rest built in: CryptoHasher and `crypto.timingSafeEqual`. */
export function nodeCrypto(): typeof NodeCrypto {
  return process.getBuiltinModule("node:crypto");
}

/** For gzip, because Bun's own gunzipSync cannot limit the size of its output. */
export function nodeZlib(): typeof NodeZlib {
  return process.getBuiltinModule("node:zlib");
}
