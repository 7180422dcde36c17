import { nodeCrypto } from "../node-modules.ts";

/**
 * Makes a minimal self-signed X.509 certificate, valid from 2020 to 2049, for tests without a network. Takes and
 * returns PEM.
 */
export function certificateFor(privateKey: string): string {
  const { createPrivateKey, createPublicKey, sign } = nodeCrypto();
  const key = createPrivateKey(privateKey);
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const sha256WithRsa = sequence(oid("2a864886f70d01010b"), Buffer.of(5, 0));
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from("made by a test")))));
  const validity = sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z")));
  const toBeSigned = sequence(der(2, Buffer.of(1)), sha256WithRsa, name, validity, name, spki);
  const signature = sign("sha256", toBeSigned, key);
  const certificate = sequence(toBeSigned, sha256WithRsa, der(3, Buffer.concat([Buffer.of(0), signature])));
  const lines = certificate.toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function sequence(...parts: Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return der(6, Buffer.from(hex, "hex"));
}

function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}
