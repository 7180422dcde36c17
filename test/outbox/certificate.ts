import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";

/**
 * Makes a self-signed certificate for a name or an IPv4 address, valid from 2020 to 2049, and its key. Both are
 * PEM. The certificate is also the authority that verifies it.
 */
export function certificateOf(host: string): { key: string; cert: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
  const name = sequence(der(0x31, sequence(oid("550403"), der(0x0c, Buffer.from("made by a test")))));
  const validity = sequence(der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z")));
  const isAddress = /^[\d.]+$/.test(host);
  const alternative = isAddress
    ? der(0x87, Buffer.from(host.split(".").map(Number)))
    : der(0x82, Buffer.from(host));
  const extensions = der(0xa3, sequence(sequence(oid("551d11"), der(4, sequence(alternative)))));
  const version3 = der(0xa0, der(2, Buffer.of(2)));
  const serial = der(2, Buffer.of(1));
  const signed = sequence(version3, serial, ecdsaWithSha256, name, validity, name, spki, extensions);
  const signature = der(3, Buffer.concat([Buffer.of(0), sign("sha256", signed, privateKey)]));
  const lines = sequence(signed, ecdsaWithSha256, signature).toString("base64").replaceAll(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  };
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
