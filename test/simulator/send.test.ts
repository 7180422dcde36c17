import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SigningKeys } from "../../src/providers/context.ts";
import { filesOf, parseBody } from "../../src/providers/body/payload.ts";
import { providers } from "../../src/providers/presets.ts";
import { isOnlyScheme, type Provider } from "../../src/providers/provider.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import { createSource } from "../../src/providers/source.ts";
import { coversUrl, randomKeys } from "../../src/providers/verifier.ts";
import { exampleFor, type Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { staleAge, whyNotTampered } from "../../src/simulator/request.ts";
import { send, signedRequests, type SendOptions, type SendReport } from "../../src/simulator/send.ts";
import { completed, neededBy, URL_OF_IT } from "../providers/preset-samples.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { plainSend } from "../support/plain-send.ts";

/** A preset, completed with what `hmac` and `static` leave to the config. */
function presetOf(preset: Provider): { provider: Provider; config: string } {
  const selectors = 'event_id = "body:$.id"\ntype = "body:$.type"';
  if (preset.scheme.kind === "jwt") {
    const signature = `jwks_url = "https://issuer.test/jwks.json", issuer = "https://issuer.test", audience = "${URL_OF_IT}"`;
    return {
      provider: { ...preset, scheme: completed(preset.scheme) },
      config: `signature = { ${signature} }\n${selectors}`,
    };
  }
  if (
    (preset.name === "hmac" && preset.scheme.kind === "hmac") ||
    (preset.name === "public-key" && preset.scheme.kind === "public-key")
  ) {
    const scheme = { ...preset.scheme, signature: { header: "x-signature" } };
    return {
      provider: { ...preset, scheme },
      config: `signature = { header = "x-signature" }\n${selectors}`,
    };
  }
  if (preset.name === "static") {
    const scheme = { kind: "static", secretIn: "header:x-secret" } as const;
    return { provider: { ...preset, scheme }, config: `secret_in = "header:x-secret"\n${selectors}` };
  }
  return { provider: preset, config: isOnlyScheme(preset) ? "" : neededBy(preset) };
}

const publicUrl = "https://hooks.example.com/webhook/x";
const environment: Record<string, string> = {};
const keys = new Map<string, SigningKeys>();
const names = [...providers.keys()];

function configOf(): string {
  return names
    .map((name) => {
      const { provider, config } = presetOf(providers.get(name) as Provider);
      const made = randomKeys(provider.scheme);
      keys.set(name, made);
      const secretName = name.toUpperCase().replaceAll("-", "_");
      const { needsSecret } = kindOf(provider.scheme);
      if (needsSecret) environment[secretName] = made.secret;
      const secret = needsSecret ? `secret = "env:${secretName}"` : "";
      const url = coversUrl(provider.scheme) ? `public_url = "${publicUrl}"` : "";
      const type = name === "unsigned" ? 'type = "body:$.type"' : "";
      return `[sources.${name}]\nprovider = "${name}"\n${secret}\n${url}\n${type}\n${config}\n`;
    })
    .join("\n");
}

/** The providers' hosts, from which hookonce fetches certificates and keys. */
function providersHosts(url: string): Promise<Response> {
  if (url.startsWith("https://production.plaid.com/")) {
    const { d: _, ...key } = JSON.parse(keys.get("plaid")?.privateKey ?? "{}") as Record<string, string>;
    return Promise.resolve(Response.json({ key }));
  }
  if (url.startsWith("https://issuer.test/")) {
    const { d: _, ...key } = JSON.parse(keys.get("jwt")?.privateKey ?? "{}") as Record<string, string>;
    return Promise.resolve(Response.json({ keys: [key] }));
  }
  const name = url.startsWith("https://sns.") ? "aws-sns" : "paypal";
  return Promise.resolve(new Response(certificateFor(keys.get(name)?.privateKey ?? "")));
}

let inbox: TestInbox;
let base: string;

beforeAll(async () => {
  const config = configOf();
  inbox = await testInbox({
    config,
    environment,
    fetch: providersHosts,
    files: {
      "migrations/0001.sql": "create table effects (source text, event_id text, type text) strict;",
      ...Object.fromEntries(
        names.map((name) => [
          `handlers/${name}/_any.sql`,
          "insert into effects values (:source, :event_id, :type);",
        ]),
      ),
    },
  });
  base = inbox.listen().url;
});
afterAll(() => inbox[Symbol.asyncDispose]());

function optionsFor(name: string, change: Partial<SendOptions> = {}): SendOptions {
  const { provider } = presetOf(providers.get(name) as Provider);
  const example = examples.get(name) as Example;
  const own = keys.get(name) as SigningKeys;
  const inConfig = isOnlyScheme(provider) && name !== "unsigned";
  const selectors = inConfig ? { eventId: "body:$.id", type: "body:$.type" } : {};
  return {
    to: `${base}/webhook/${name}`,
    publicUrl: coversUrl(provider.scheme) ? publicUrl : undefined,
    example,
    type: example.types[0],
    provider,
    source: createSource({ name, provider, secrets: [own.secret], publicUrl, ...selectors }, Date.now),
    keys: own,
    ...plainSend,
    times: 2,
    ...change,
  };
}

const sendTo = (name: string, change: Partial<SendOptions> = {}): Promise<SendReport> =>
  send(optionsFor(name, change));

const stored = (name: string): { type: string; deliveries: number }[] =>
  inbox.rows("select type, deliveries from hookonce_events where source = ? order by id", name);

test("every preset has an example, and every example has a preset", () => {
  expect([...examples.keys()].sort()).toEqual([...names].sort());
});

describe.each(names)("%s", (name) => {
  const preset = presetOf(providers.get(name) as Provider).provider;
  const { scheme } = preset;
  const thin = preset.eventId === "new:delivery";
  const exact = preset.answer !== undefined;

  test("is processed, then a duplicate", async () => {
    const sent = new Set<string>();
    const report = await sendTo(name, { onAnswer: ({ eventIds }) => eventIds.forEach((id) => sent.add(id)) });
    expect(report.wrong).toEqual([]);
    expect(report.events).toBe(thin ? 2 : 1);
    // The printed ids are the stored ones.
    if (!thin)
      expect(inbox.rows("select event_id from hookonce_events where source = ?", name)).toEqual(
        [...sent].map((id) => ({ event_id: id })),
      );
    expect([...report.said]).toEqual(
      thin
        ? [["processed", 2]]
        : exact
          ? [["accepted", 2]]
          : [
              ["processed", 1],
              ["duplicate", 1],
            ],
    );
    const type = (examples.get(name) as Example).types[0];
    expect(stored(name)).toEqual(
      thin ? [1, 1].map((deliveries) => ({ type, deliveries })) : [{ type, deliveries: 2 }],
    );
    expect(inbox.value("select count(*) from effects where source = ?", name)).toBe(thin ? 2 : 1);
  });

  test("stores a separate event for each of its types", async () => {
    const before = stored(name).length;
    const { types } = examples.get(name) as Example;
    for (const type of types) expect((await sendTo(name, { type, times: 1 })).wrong).toEqual([]);
    expect(
      stored(name)
        .slice(before)
        .map(({ type }) => type),
    ).toEqual([...types]);
  });

  const refused = (change: Partial<SendOptions>, code: string): void => {
    test(`is answered 401 with ${Object.keys(change).join()}`, async () => {
      const before = stored(name);
      const report = await sendTo(name, { ...change, times: 1 });
      expect(report.wrong).toEqual([]);
      expect([...report.said.keys()]).toEqual([preset.emptyRefusals === true ? "no body" : code]);
      expect(stored(name)).toEqual(before);
    });
  };
  if (whyNotTampered(scheme) === undefined) refused({ tamper: true }, "signature_mismatch");
  if (staleAge(scheme) !== undefined) refused({ stale: true }, "timestamp_stale");
  if (scheme.kind !== "unsigned") refused({ wrongSecret: true }, "signature_mismatch");
  if (preset.batch !== undefined) {
    test("carries three events in one delivery", async () => {
      const before = stored(name).length;
      const report = await sendTo(name, { batch: 3 });
      expect([report.wrong, report.deliveries, report.events]).toEqual([[], 2, 3]);
      expect(stored(name)).toHaveLength(before + 3);
    });
  }
});

const untyped = Array.from(examples).flatMap(([name, { untyped: words = {} }]) =>
  Object.keys(words).map((word) => [name, word] as const),
);

test.each(untyped)("%s %s has no type, is processed, then a duplicate", async (name, word) => {
  const before = stored(name).length;
  const change = exampleFor(examples.get(name) as Example, word);
  const report = await sendTo(name, change);
  expect([...report.said]).toEqual([
    ["processed", 1],
    ["duplicate", 1],
  ]);
  expect(stored(name).slice(before)).toEqual([{ type: "", deliveries: 2 }]);
  const refused = await sendTo(name, { ...change, wrongSecret: true, times: 1 });
  expect([...refused.said.keys()]).toEqual(["signature_mismatch"]);
});

test("Mailgun's route sends a multipart form with an attachment", async () => {
  const change = exampleFor(examples.get("mailgun") as Example, "inbound");
  const [request] = await signedRequests(optionsFor("mailgun", { ...change, wrongSecret: true }));
  expect(request?.headers["content-type"]).toStartWith("multipart/form-data; boundary=");
  expect(parseBody(request!).payload).toMatchObject({
    recipient: "orders@mg.example.com",
    "attachment-count": "1",
    "attachment-1": { filename: "order.txt", type: "text/plain", size: 31 },
    timestamp: expect.stringMatching(/^\d+$/),
    token: expect.stringMatching(/^\w{50}$/),
    signature: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const [file] = filesOf(request!);
  expect([file?.field, Buffer.from(file?.bytes ?? []).toString()]).toEqual([
    "attachment-1",
    expect.stringMatching(/^Order [0-9a-f]{24}\n$/),
  ]);
});

test.each([
  [
    'multipart/form-data; boundary="X y"',
    '--X y\r\nContent-Disposition: form-data; name="subject"\r\n\r\nhello\r\n--X y--\r\n',
  ],
  ["application/x-www-form-urlencoded", "subject=hello&recipient=a%40b"],
  ["application/json", '{"event-data":{"event":"opened","id":"from-a-file"}}'],
])("a body from a file is signed and sent as %s", async (type, text) => {
  for (const word of ["delivered", "inbound"]) {
    const change = exampleFor(examples.get("mailgun") as Example, word);
    const options = { ...change, data: Buffer.from(text), times: 1 };
    const [request] = await signedRequests(optionsFor("mailgun", options));
    expect(request?.headers["content-type"]).toBe(type);
    expect((await sendTo("mailgun", options)).wrong).toEqual([]);
  }
});

describe("storms", () => {
  test("stores each event once when deliveries are shuffled, concurrent, and answers are lost", async () => {
    const before = stored("stripe").length;
    const report = await sendTo("stripe", {
      events: 20,
      times: 3,
      concurrency: 8,
      shuffle: true,
      dropAnswers: true,
    });
    expect(report.wrong).toEqual([]);
    expect([report.deliveries, report.said.get("answer not read")]).toEqual([120, 60]);
    expect(stored("stripe")).toHaveLength(before + 20);
  });

  test("reports a receiver that applies everything twice", async () => {
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json({ status: "processed", event_id: "x" }),
    });
    const report = await sendTo("stripe", { to: server.url.href });
    expect(report.wrong.map(({ what }) => what)).toEqual(["was processed 2 times"]);
    const tampered = await sendTo("stripe", { to: server.url.href, tamper: true, times: 1 });
    expect(tampered.wrong.map(({ what }) => what)).toEqual(["got 200 processed, expected 401"]);
  });

  test("reports a status of 500, and a receiver that does not answer", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response("no", { status: 500 }),
    });
    const to = server.url.href;
    expect((await sendTo("github", { to, times: 1 })).wrong[0]?.what).toBe("got 500 no, expected 200");
    await server.stop(true);
    expect((await sendTo("github", { to, times: 1 })).wrong[0]?.what).toStartWith("got no answer: ");
  });
});
