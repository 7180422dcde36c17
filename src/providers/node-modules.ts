import type NodeCrypto from "node:crypto";
import type NodeZlib from "node:zlib";

// Loaded when they are first asked for: with the streams that they bring along they would be an eighth of every start (10 to 13 ms), and
// most sources need neither. A static import of one of them anywhere in what `serve` reaches loads it for all.

/** For public keys and certificates. The rest Bun has built in: CryptoHasher, and `crypto.timingSafeEqual`. */
export function nodeCrypto(): typeof NodeCrypto {
  return process.getBuiltinModule("node:crypto");
}

/** For gzip: Bun's own gunzipSync knows no limit to what a body may become. */
export function nodeZlib(): typeof NodeZlib {
  return process.getBuiltinModule("node:zlib");
}
