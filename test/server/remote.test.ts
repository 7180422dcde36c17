import { expect, test } from "bun:test";
import { HookonceError } from "../../src/errors.ts";
import { createRemoteClient, remoteProblem } from "../../src/http/admin/remote.ts";

/** The client of a `serve` elsewhere, which gets a token. */

const TOKEN = "a_token_0123456789abcdefghij";

function server(answer: (request: Request) => Response) {
  const got: (string | null)[] = [];
  const made = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      got.push(`${new URL(request.url).pathname} ${request.headers.get("authorization")}`);
      return answer(request);
    },
  });
  return {
    got,
    url: `http://127.0.0.1:${made.port}`,
    [Symbol.asyncDispose]: async () => made.stop(true),
  };
}

async function refusalOf(url: string): Promise<{ code: string; message: string }> {
  try {
    await createRemoteClient(url, TOKEN).api.status.$get();
  } catch (error) {
    if (error instanceof HookonceError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("it was not refused");
}

test("the token goes to the host of the URL, below its path", async () => {
  await using far = server(() => Response.json({ fine: true }));
  const response = await createRemoteClient(`${far.url}/hooks/`, TOKEN).api.status.$get();
  expect([response.status, far.got]).toEqual([200, [`/hooks/api/status Bearer ${TOKEN}`]]);
});

test("a redirect is not followed, so the token goes to no other host", async () => {
  await using other = server(() => Response.json({}));
  await using far = server(() => Response.redirect(`${other.url}/login?next=x`, 302));
  const { code, message } = await refusalOf(far.url);
  expect([code, message]).toEqual(["invalid_request", expect.stringContaining(`redirects to ${other.url},`)]);
  expect(other.got).toEqual([]);
});

test("a proxy that cannot reach it is tried again, and another server is named", async () => {
  await using proxy = server(() => new Response("<h1>Bad Gateway</h1>", { status: 502 }));
  expect(await refusalOf(proxy.url)).toEqual({
    code: "serve_unreachable",
    message: `${proxy.url} answered 502`,
  });
  await using website = server(() => new Response("Not Found\nmore", { status: 404 }));
  const { code, message } = await refusalOf(website.url);
  expect([code, message]).toEqual([
    "not_found",
    expect.stringContaining("answered 404 Not Found. That is not"),
  ]);
});

test("a host that does not answer is named without the token", async () => {
  const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const url = `http://127.0.0.1:${free.port}`;
  await free.stop(true);
  const { code, message } = await refusalOf(url);
  expect([code, message]).toEqual(["serve_unreachable", expect.stringContaining(`${url} cannot be reached`)]);
  expect(message).not.toContain(TOKEN);
});

test("an address that would show the token on the way is refused", () => {
  for (const url of [
    "https://hooks.example.com",
    "http://127.0.0.1:8788",
    "http://[::1]:8788/",
    "http://localhost",
  ])
    expect(remoteProblem(url)).toBeUndefined();
  for (const [url, part] of [
    ["http://hooks.example.com", "https://"],
    ["hooks.example.com", "full URL"],
    ["https://me:pass@hooks.example.com", "HOOKONCE_TOKEN"],
    ["https://hooks.example.com/?token=x", "HOOKONCE_TOKEN"],
    ["ftp://hooks.example.com", "full URL"],
  ] as const)
    expect(remoteProblem(url)).toContain(part);
});
