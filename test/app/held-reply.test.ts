import { describe, expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { scratch } from "../cli/support/hookonce.ts";
import { testInbox } from "../support/test-inbox.ts";

/** What a start with this source is refused for, without the place. */
async function problemsOf(provider: string, ...lines: string[]): Promise<string[]> {
  const source = [`[sources.a]`, `provider = "${provider}"`, `secret = "env:A"`, ...lines];
  using inbox = scratch({ "hookonce.toml": `version = 1\n${source.join("\n")}\n` });
  const { problems } = await check(inbox.path, {
    environment: { A: "0123456789abcdef".repeat(4) },
    clock: Date.now,
  });
  for (const { line } of problems) expect(line).toBeGreaterThanOrEqual(5);
  return problems.map(({ message }) => message);
}

describe("held_reply", () => {
  test.each([
    [
      "status = 99",
      "sources.a: held_reply: The reply cannot be sent: status 99 is not an integer from 200 to 599.",
    ],
    [
      'status = 204, body = "x"',
      "sources.a: held_reply: The reply cannot be sent: status 204 does not allow a body.",
    ],
    [
      'headers = { "x-a" = "b\\nc" }',
      "sources.a: held_reply: The reply cannot be sent: a header has an invalid name or value.",
    ],
    ['status = "200"', 'sources.a.held_reply.status: "200" is not a number: write it as in status = 200'],
    ["text = 1", "sources.a.held_reply.text is not a key; choose from status, headers, body"],
  ])("{ %s } is refused", async (text, expected) => {
    expect(await problemsOf("slack", `held_reply = { ${text} }`)).toEqual([expected]);
  });

  test.each([
    "{}",
    "{ status = 202 }",
    '{ body = "Back soon" }',
    "{ body = { type = 4, data = { n = [1] } } }",
  ])("= %s is a reply", async (text) => {
    expect(await problemsOf("slack", "hold_after = 3", `held_reply = ${text}`)).toEqual([]);
  });

  test("is refused for deliveries that carry several events", async () => {
    const [one, ...others] = await problemsOf("xero", 'held_reply = { body = "x" }');
    expect(one).toStartWith(
      "sources.a: held_reply has no effect: a delivery of Xero may carry several events",
    );
    expect(others).toEqual([]);
  });
});

describe("hold_after without held_reply", () => {
  test.each(["slack", "discord", "supabase"])("is refused for %s, whose answer is used", async (provider) => {
    const [one, ...others] = await problemsOf(provider, "hold_after = 3");
    expect(one).toStartWith("sources.a: hold_after = 3 pauses the source, and ");
    expect(one).toEndWith(
      'Set held_reply, the answer to what is held, as in held_reply = { body = "Back in a few minutes." }',
    );
    expect(others).toEqual([]);
  });

  test("is enough for other providers", async () => {
    expect(await problemsOf("stripe", "hold_after = 3")).toEqual([]);
  });
});

const config = (held: string): string => `[sources.a]\nprovider = "slack"\nsecret = "env:A"\n${held}`;

test("check warns of a paused source that has lost its held_reply", async () => {
  const environment = { A: "0123456789abcdef".repeat(4) };
  await using inbox = await testInbox({
    config: config('held_reply = { body = "Back soon" }\n'),
    environment,
  });
  await inbox.pausing.pause("a", {}, "sam");
  await inbox.close();
  const warned = async (): Promise<string[]> => {
    const { warnings } = await check(inbox.folder, { environment, clock: Date.now });
    return warnings.map(({ message }) => message).filter((message) => message.includes("paused"));
  };
  const paused = "sources.a: it is paused. To go on, run hookonce resume a";
  expect(await warned()).toEqual([paused]);
  inbox.write({ "hookonce.toml": `version = 1\n${config("")}` });
  expect(await warned()).toEqual([
    paused,
    'sources.a: it is paused, and has no held_reply any more, although Slack shows the answer to a command or a click to the user. Set it, as in held_reply = { body = "Back in a few minutes." }',
  ]);
});
