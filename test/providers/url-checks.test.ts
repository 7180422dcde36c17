import { expect, test } from "bun:test";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { sign } from "../../src/providers/verifier.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { NOW } from "./signed-inbox.ts";

/** How a provider checks the URL, before or beside its events. */
interface Check {
  readonly provider: string;
  readonly what: string;
  readonly method?: "HEAD" | "GET" | "POST";
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly signed?: true;
  /** Almost the same request, which must not pass for a check. */
  readonly not?: { readonly headers?: Record<string, string>; readonly body?: string };
}

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const PING = { "x-event-key": "diagnostics:ping", "x-request-id": "r1" };

const checks: readonly Check[] = [
  { provider: "intercom", what: "HEAD", method: "HEAD" },
  {
    provider: "intercom",
    what: "its ping, whose id is null",
    body: '{"type":"notification_event","topic":"ping","id":null,"data":{"item":{"type":"ping"}}}',
    signed: true,
    not: { body: '{"type":"notification_event","topic":"ping","id":null}' },
  },
  {
    provider: "bitbucket",
    what: "Data Center's test without a secret",
    headers: PING,
    body: '{"test":true}',
    not: { headers: PING, body: '{"test":true,"push":{}}' },
  },
  {
    provider: "bitbucket",
    what: "Data Center's test with a secret",
    headers: PING,
    body: '{"test":true}',
    signed: true,
    not: { headers: { ...PING, "x-hub-signature": `sha256=${"0".repeat(64)}` }, body: '{"test":true}' },
  },
  { provider: "slack", what: "SSL check by GET", method: "GET", query: "?ssl_check=1&token=t" },
  {
    provider: "slack",
    what: "SSL check, unsigned",
    headers: FORM,
    body: "token=t&ssl_check=1",
    not: { headers: FORM, body: "token=t&ssl_check=1&command=%2Fpay" },
  },
  { provider: "slack", what: "SSL check, signed", headers: FORM, body: "token=t&ssl_check=1", signed: true },
  {
    provider: "figma",
    what: "ping",
    body: '{"event_type":"PING","passcode":"","timestamp":"2020-02-23T20:27:16Z","webhook_id":"22"}',
    signed: true,
    not: { body: '{"event_type":"PING","passcode":"wrong"}' },
  },
];

async function send(
  inbox: TestInbox,
  { method = "POST", query = "", headers = {}, body = "" }: Omit<Check, "provider" | "what" | "not">,
): Promise<Response> {
  return inbox.request(`/webhook/it${query}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(method === "POST" ? { body } : {}),
  });
}

test.each(checks.map((check) => [`${check.provider}: ${check.what}`, check] as const))(
  "%s is answered 200, and nothing is recorded",
  async (_, check) => {
    await using inbox = await testInbox({
      config: `[sources.it]\nprovider = "${check.provider}"\nsecret = "env:S"\n`,
      environment: { S: "secret" },
      clock: () => NOW,
    });
    let { headers = {}, body = "" } = check;
    if (check.signed === true) {
      const request = await sign(
        providers.get(check.provider) as Provider,
        {
          method: "POST",
          url: "http://localhost/webhook/it",
          headers: { "content-type": "application/json", ...headers },
          body: Buffer.from(body),
        },
        { secret: "secret" },
        NOW,
      );
      headers = request.headers;
      body = Buffer.from(request.body).toString();
    }
    const response = await send(inbox, { ...check, headers, body });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    if (check.not !== undefined) expect((await send(inbox, check.not)).status).toBe(401);
    expect(inbox.value("select count(*) from hookonce_events")).toBe(0);
    expect(inbox.value("select count(*) from hookonce_failures")).toBe(0);
  },
);
