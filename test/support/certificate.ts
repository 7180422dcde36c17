import { createPrivateKey, createPublicKey, sign } from "node:crypto";

/** A self-signed certificate for an RSA key, valid from 2020 to 2050, as PEM. Node can read certificates, not make them. */
export function certificateFor(privateKey: string): string {
  const key = createPrivateKey(privateKey);
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  // sha256WithRSAEncryption, and a common name.
  const algorithm = der(0x30, Buffer.from("06092a864886f70d01010b0500", "hex"));
  const commonName = der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from("test")));
  const name = der(0x30, der(0x31, commonName));
  const validity = der(0x30, time("20200101000000Z"), time("20491231235959Z"));
  const version = der(0xa0, der(0x02, Buffer.of(2)));
  const serial = der(0x02, Buffer.of(1));
  const toSign = der(0x30, version, serial, algorithm, name, validity, name, spki);
  const signature = der(0x03, Buffer.of(0), sign("sha256", toSign, key));
  const lines =
    der(0x30, toSign, algorithm, signature)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function time(text: string): Buffer {
  return der(0x18, Buffer.from(text));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}
