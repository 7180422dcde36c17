import { expect, test } from "bun:test";
import { officialLibraries } from "./official.ts";
import { NOTHING, NOW, officialInbox, ONE, post, storedIn } from "./signed-inbox.ts";

const BODY_MASKS = [0x01, 0x20, 0x80, 0xff];
const TEXT_MASKS = [0x01, 0x02, 0x10, 0x20];

/** Every way to change one byte: flipped, dropped, doubled. */
function* changedBodies(body: Buffer): Generator<{ what: string; body: Buffer }> {
  for (const [at, byte] of body.entries()) {
    const put = (...bytes: number[]): Buffer =>
      Buffer.concat([body.subarray(0, at), Buffer.from(bytes), body.subarray(at + 1)]);
    for (const mask of BODY_MASKS) yield { what: `byte ${at} ^ ${mask}`, body: put(byte ^ mask) };
    yield { what: `byte ${at} dropped`, body: put() };
    yield { what: `byte ${at} doubled`, body: put(byte, byte) };
  }
}

/** The same for a header, as far as what comes out is one. */
function* changedHeaders(value: string): Generator<{ what: string; value: string }> {
  for (const [at, character] of Array.from(value).entries()) {
    const put = (replacement: string): string => value.slice(0, at) + replacement + value.slice(at + 1);
    for (const mask of TEXT_MASKS) {
      const code = character.charCodeAt(0) ^ mask;
      const flipped = String.fromCharCode(code);
      if (code > 0x20 && code < 0x7f) yield { what: `character ${at} as ${flipped}`, value: put(flipped) };
    }
    yield { what: `character ${at} dropped`, value: put("") };
    yield { what: `0 before character ${at}`, value: put(`0${character}`) };
  }
}

test.each(officialLibraries.map((library) => [library.provider, library] as const))(
  "%s: no byte of the body, the time or the signature can be changed",
  async (provider, library) => {
    await using inbox = await officialInbox();
    const body = Buffer.from(library.body("evt_1", "thing.happened"));
    const headers = await library.sign(body.toString(), {
      secret: library.secrets[0],
      id: "evt_1",
      at: NOW / 1000,
    });
    const taken: string[] = [];
    let tried = 0;
    const attempt = async (what: string, sent: Buffer, signed: Record<string, string>): Promise<void> => {
      tried++;
      const { status, said } = await post(inbox, provider, sent, signed);
      if (status !== 401) taken.push(`${what}: ${status} ${said}`);
    };

    for (const change of changedBodies(body)) await attempt(`body, ${change.what}`, change.body, headers);
    for (const name of [library.signatureHeader, ...library.signedHeaders]) {
      for (const { what, value } of changedHeaders(headers[name] as string)) {
        await attempt(`${name}, ${what}`, body, { ...headers, [name]: value });
      }
    }
    expect(taken).toEqual([]);
    expect(tried).toBeGreaterThan(500);
    expect(storedIn(inbox)).toEqual(NOTHING);

    // And it was none of the above that made it bad.
    expect(await post(inbox, provider, body, headers)).toEqual({ status: 200, said: "processed" });
    expect(storedIn(inbox)).toEqual(ONE);
  },
);
