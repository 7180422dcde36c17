import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { providers } from "../../src/providers/presets.ts";
import { kindOf } from "../../src/providers/schemes.ts";
import type { Source } from "../../src/providers/source.ts";
import { coversUrl, randomKeys } from "../../src/providers/verifier.ts";
import type { Example } from "../../src/simulator/example.ts";
import { examples } from "../../src/simulator/examples.ts";
import { send } from "../../src/simulator/send.ts";
import { neededBy } from "../providers/preset-samples.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { plainSend } from "../support/plain-send.ts";

/**
 * Each preset has a source, and an unsigned source that only shares its handlers, to deliver to while
 * developing.
 */
const names = [...providers.keys()].filter((name) => name !== "unsigned");

const spelledOut: Record<string, string> = {
  "public-key": 'signature = { header = "x-signature" }\nevent_id = "body:$.id"\ntype = "body:$.type"',
  hmac: 'signature = { header = "x-signature" }\nevent_id = "body:$.id"\ntype = "body:$.type"',
  jwt: 'signature = { jwks_url = "https://issuer.test/jwks.json", issuer = "https://issuer.test", audience = "us" }\nevent_id = "body:$.id"\ntype = "body:$.type"',
  static: 'secret_in = "header:x-secret"\nevent_id = "body:$.id"\ntype = "body:$.type"',
};

const environment: Record<string, string> = {};

const config = names
  .map((name) => {
    const preset = providers.get(name)!;
    const { scheme } = preset;
    const variable = name.toUpperCase().replaceAll("-", "_");
    environment[variable] = randomKeys(scheme).secret;
    const secret = !kindOf(scheme).needsSecret ? "" : `secret = "env:${variable}"`;
    return `[sources.${name}]
provider = "${name}"
${coversUrl(scheme) ? 'public_url = "https://hooks.example.com/x"' : ""}
${secret}
${spelledOut[name] ?? neededBy(preset)}
[sources.${name}-dev]
provider = "unsigned"
handlers = "${name}"
`;
  })
  .join("\n");

let inbox: TestInbox;
let base: string;
let sources: ReadonlyMap<string, Source>;

beforeAll(async () => {
  inbox = await testInbox({
    config,
    environment,
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
  ({ sources } = await check(inbox.folder, { environment, clock: Date.now }));
});
afterAll(() => inbox[Symbol.asyncDispose]());

describe("an unsigned source that only shares handlers reads ids, types and batches as their source does", () => {
  test.each(names)("%s", async (name) => {
    const example = examples.get(name) as Example;
    const [type] = example.types;
    const source = sources.get(`${name}-dev`)!;
    const batch = source.split === undefined ? 1 : 3;
    const report = await send({
      to: `${base}/webhook/${name}-dev`,
      example,
      type,
      provider: source.provider,
      source,
      keys: { secret: "" },
      ...plainSend,
      batch,
    });
    expect([report.wrong, [...report.said]]).toEqual([[], [["processed", batch]]]);
    expect(inbox.rows("select type from effects where source = ?", `${name}-dev`)).toEqual(
      Array.from({ length: batch }, () => ({ type })),
    );
    expect(source.eventIdRule).toBe(sources.get(name)!.eventIdRule);
  });

  test("uses the selectors that it has itself", async () => {
    await inbox.restart({
      config: `
[sources.paypal]
provider = "paypal"
secret = "env:PAYPAL"
[sources.own]
provider = "unsigned"
type = "body:$.type"
handlers = "paypal"
event_id = "body:$.my_id"
`,
      open: { acceptIdChange: true },
    });
    const payload = { my_id: "1", id: "WH-1", type: "mine", event_type: "theirs" };
    expect((await inbox.deliver(payload, { source: "own" })).body).toMatchObject({ event_id: "1" });
    expect(inbox.value("select type from effects where source = 'own'")).toBe("mine");
  });
});
