import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { HookonceError } from "../../src/errors.ts";
import { statuses } from "../../src/http/statuses.ts";
import type { Queue } from "../../src/inbox/queue.ts";
import { receive } from "../../src/inbox/receive.ts";
import { newPart, writeMultipart } from "../../src/providers/body/multipart.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Source } from "../../src/providers/source.ts";
import { sign } from "../../src/providers/verifier.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { deliveryOf, sourceOf } from "./handed-on.ts";
import { signerFor } from "./preset-samples.ts";
import { NOW } from "./signed-inbox.ts";

/** An inbox that commits nothing, to test what happens before the commit. */
const nowhere = {
  deliver: () => Promise.resolve({ outcome: "processed" }),
} as unknown as Queue;

/** @returns the status of the answer. Throws an error that is not an answer but a bug */
async function statusOf(source: Source, request: OutgoingRequest): Promise<number> {
  try {
    await receive(deliveryOf(request), source, nowhere);
    return 200;
  } catch (error) {
    if (error instanceof HookonceError) return statuses[error.code] ?? 500;
    throw error;
  }
}

const json = (body: string, request: OutgoingRequest): OutgoingRequest => ({
  ...request,
  body: Buffer.from(body),
});

/** Values that JavaScript cannot convert to text or to a number, or converts in an unexpected way. */
const hostile = fc.constantFrom(
  '{"toString":1,"valueOf":1}',
  '{"toString":null}',
  '{"__proto__":null,"constructor":1}',
  '{"length":1e9}',
  '{"then":1}',
  "{}",
  "[]",
  "[[]]",
  '[{"toString":1,"valueOf":1}]',
  "null",
  "true",
  "false",
  "0",
  "-1",
  "1e400",
  "1e-400",
  "9007199254740993",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"__proto__"',
  "[".repeat(200) + "]".repeat(200),
);

type Path = readonly (string | number)[];

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, one]) => pathsIn(one, [...path, key]))];
}

/** JSON text with another value at a path. */
function replaced(value: unknown, [step, ...rest]: Path, text: string): string {
  if (step === undefined) return text;
  if (Array.isArray(value))
    return `[${value.map((one, at) => (String(at) === step ? replaced(one, rest, text) : JSON.stringify(one))).join()}]`;
  const entries = Object.entries(value as object).map(
    ([key, one]) =>
      `${JSON.stringify(key)}:${key === step ? replaced(one, rest, text) : JSON.stringify(one)}`,
  );
  return `{${entries.join()}}`;
}

describe("answers or refuses a payload with an unexpected value, and never throws anything else", () => {
  test.each([...providers.keys()].filter((name) => name !== "unsigned").map((name) => [name]))(
    "%s",
    async (name) => {
      const signer = signerFor(name, certificateFor);
      const source = sourceOf(signer);
      const honest = await signer.request(1, 1, NOW);
      const text = Buffer.from(honest.body).toString();
      // A form has no JSON to change, so the value replaces the body.
      const payload: unknown = text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : {};
      const paths = pathsIn(payload);
      await fc.assert(
        fc.asyncProperty(fc.nat(), hostile, fc.boolean(), async (at, value, signed) => {
          const body = replaced(payload, paths[at % paths.length] ?? [], value);
          let request = json(body, honest);
          // The provider itself can send something unexpected, too.
          if (signed) request = (await signedOrNot(request)) ?? request;
          expect([200, 400, 401, 403, 503]).toContain(await statusOf(source, request));
        }),
        { numRuns: 200 },
      );

      async function signedOrNot(request: OutgoingRequest): Promise<OutgoingRequest | undefined> {
        try {
          return await sign(signer.provider, request, signer.keys, NOW);
        } catch {
          return undefined; // this body cannot be signed
        }
      }
    },
  );

  const rows: [name: string, change: (body: string) => string][] = [
    ["adyen", (body) => body.replace('"psp-1-0"', '{"toString":1,"valueOf":1}')],
    ["adyen", (body) => body.replace('"true"', '[["true"]]')],
    [
      "adyen",
      (body) => body.replace('"pspReference":"psp-1-0","merchant', '"pspReference":"psp-1-0:","merchant'),
    ],
    ["aws-sns", (body) => body.replace('"Hello wörld!"', '{"toString":1}')],
    ["aws-sns", (body) => body.replace('"Hello wörld!"', '["Hello wörld!"]')],
    ["mailgun", (body) => body.replace(/"token":"[^"]*"/, '"token":{"toString":1}')],
  ];
  test.each(rows)("%s: refuses a signed field of another type", async (name, change) => {
    const signer = signerFor(name, certificateFor);
    const honest = await signer.request(1, 1, NOW);
    const text = Buffer.from(honest.body).toString();
    expect(change(text)).not.toBe(text);
    expect(await statusOf(sourceOf(signer), json(change(text), honest))).toBe(401);
  });
});

/** With the fields of a payload, each of them perhaps a file or twice, and perhaps cut. */
const hostileForm = (
  fields: readonly [string, unknown][],
  shapes: readonly number[],
  cut: number,
): Buffer => {
  const parts = fields.flatMap(([name, value], at) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const one = newPart(name, text);
    const file = newPart(name, text, { filename: "f", type: "text/plain" });
    return (
      [[one], [file], [one, one], [one, file], [newPart(name, Uint8Array.of(0xff))]][(shapes[at] ?? 0) % 5] ??
      []
    );
  });
  const body = writeMultipart(MULTIPART, parts);
  return body.subarray(0, body.byteLength - (cut > 20 ? 0 : cut));
};
const MULTIPART = { "content-type": "multipart/form-data; boundary=X" };

describe("answers or refuses a multipart form, and never throws anything else", () => {
  test.each([...providers.keys()].filter((name) => name !== "unsigned").map((name) => [name]))(
    "%s",
    async (name) => {
      const signer = signerFor(name, certificateFor);
      const source = sourceOf(signer);
      const honest = await signer.request(1, 1, NOW);
      const text = Buffer.from(honest.body).toString();
      const payload = (text.startsWith("{") ? JSON.parse(text) : { id: "1", type: "a" }) as object;
      const fields = [...Object.entries(payload), ["payload", text], ["__proto__", "x"]] as [
        string,
        unknown,
      ][];
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat(4), { maxLength: fields.length }),
          fc.nat(100),
          fc.boolean(),
          async (shapes, cut, signed) => {
            const request = {
              ...honest,
              headers: { ...honest.headers, ...MULTIPART },
              body: hostileForm(fields, shapes, cut),
            };
            const sent = signed
              ? await sign(signer.provider, request, signer.keys, NOW).catch(() => request)
              : request;
            expect([200, 400, 401, 403, 503]).toContain(await statusOf(source, sent));
          },
        ),
        { numRuns: 60 },
      );
    },
  );
});

const item = (fields: object): Buffer =>
  Buffer.from(JSON.stringify({ notificationItems: [{ NotificationRequestItem: fields }] }));

describe("a signature over joined fields cannot be reused with the fields split differently", () => {
  test("Adyen: a colon in the merchant's reference does not shift the fields", async () => {
    const signer = signerFor("adyen", certificateFor);
    const rest = { amount: { value: 1, currency: "EUR" }, eventCode: "AUTHORISATION", success: "true" };
    const honest = await sign(
      signer.provider,
      {
        ...(await signer.request(1, 1, NOW)),
        body: item({
          pspReference: "psp",
          merchantAccountCode: "Shop",
          merchantReference: "order:1",
          ...rest,
        }),
      },
      signer.keys,
      NOW,
    );
    expect(await statusOf(sourceOf(signer), honest)).toBe(200);
    const { additionalData } = (
      JSON.parse(Buffer.from(honest.body).toString()) as {
        notificationItems: { NotificationRequestItem: { additionalData: unknown } }[];
      }
    ).notificationItems[0]?.NotificationRequestItem ?? { additionalData: null };
    // Both are joined to psp::Shop:order:1:…
    const moved = {
      pspReference: "psp:",
      originalReference: "Shop",
      merchantAccountCode: "order",
      merchantReference: "1",
      additionalData,
      ...rest,
    };
    expect(await statusOf(sourceOf(signer), { ...honest, body: item(moved) })).toBe(401);
  });

  test("SNS: lines in a message are not fields", async () => {
    const signer = signerFor("aws-sns", certificateFor);
    const plain = await signer.request(1, 1, NOW);
    const message = JSON.parse(Buffer.from(plain.body).toString()) as Record<string, string>;
    const body = (changed: object): Buffer => Buffer.from(JSON.stringify({ ...message, ...changed }));
    const honest = await sign(
      signer.provider,
      { ...plain, body: body({ Message: "hello\nMessageId\nevil\nSubject\nrest" }) },
      signer.keys,
      NOW,
    );
    expect(await statusOf(sourceOf(signer), honest)).toBe(200);
    const { Signature, TopicArn, SignatureVersion, SigningCertURL } = JSON.parse(
      Buffer.from(honest.body).toString(),
    ) as Record<string, string>;
    const moved = {
      Message: "hello",
      MessageId: "evil",
      Subject: `rest\nMessageId\n${message["MessageId"]}`,
    };
    const forged = body({ ...moved, Signature, TopicArn, SignatureVersion, SigningCertURL });
    expect(await statusOf(sourceOf(signer), { ...honest, body: forged })).toBe(401);
  });
});
