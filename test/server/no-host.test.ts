import { afterAll, beforeAll, expect, test } from "bun:test";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";
import { rawClient } from "./support/raw-client.ts";
import { githubSignature, secrets, signedSources } from "./support/signed.ts";

/** Without a valid Host header, Bun sets the URL of a request to its path alone. */
const REQUESTS: [name: string, version: string, host: string][] = [
  ["no Host header, as in HTTP/1.0,", "1.0", ""],
  ["an empty Host header", "1.1", "Host: \r\n"],
  ["an invalid Host header", "1.1", "Host: a b\r\n"],
];

let inbox: TestInbox;
beforeAll(async () => {
  inbox = await testInbox({
    config: `[sources.default]\nprovider = "unsigned"\ntype = "body:$.type"\n${signedSources}`,
    environment: secrets,
  });
});
afterAll(() => inbox[Symbol.asyncDispose]());

async function status(request: string): Promise<number | undefined> {
  using client = await rawClient(inbox.listen().url);
  await client.send(request);
  return (await client.answer)?.status;
}

test.each(REQUESTS)("a request with %s reaches its route", async (name, version, host) => {
  const post = (path: string, body: string, headers = ""): Promise<number | undefined> =>
    status(
      `POST ${path} HTTP/${version}\r\n${host}${headers}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  const body = JSON.stringify({ name });
  const signed = `X-GitHub-Event: ping\r\nX-GitHub-Delivery: ${Bun.hash(name)}\r\nX-Hub-Signature-256: ${githubSignature(body)}\r\n`;
  expect(await post("/webhook/github?a=b", body, signed)).toBe(200);
  expect(await post("/webhook/github", `${body} `, signed)).toBe(401);
  expect(await post("/webhook", body)).toBe(403);
  expect(await post("/webhook/nobody", body)).toBe(404);
  expect(await status(`GET /healthz HTTP/${version}\r\n${host}Connection: close\r\n\r\n`)).toBe(200);
});
