import { describe, expect, test } from "bun:test";
import { EMPTY } from "../../src/app/empty-reader.ts";
import type { Entry } from "../../src/engines/records.ts";
import { createAccess, hashOf, randomToken, type StoredToken } from "../../src/http/admin/access.ts";
import type { DashboardFiles } from "../../src/http/admin/files.ts";
import { createListenerApp, createSocketApp } from "../../src/http/admin/listener.ts";
import { createAdminApp } from "../../src/http/admin/routes.ts";
import type { JobRequest } from "../../src/inbox/background-jobs.ts";
import type { BackgroundJobs } from "../../src/inbox/background-jobs.ts";
import { adminInbox } from "../support/admin-inbox.ts";

const DAY = 86_400_000;
const START = 1_800_000_000_000;
const LOCAL = "127.0.0.1:8788";
const PUBLISHED = "https://hooks.example.com";
/** Has a mark of its own, so that an answer that contains it is found. */
const PAGE = "<!doctype html>the page";

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly peer?: string;
}

/** The page and the API as `serve` publishes them, with tokens that read, steer, expire and are revoked. */
function published({ url = null }: { url?: string | null } = {}) {
  const tokens = new Map<string, StoredToken>();
  const started: JobRequest[] = [];
  let now = START;
  const add = (name: string, more: Partial<StoredToken> = {}): string => {
    const token = randomToken();
    const hash = hashOf(token);
    tokens.set(hash, {
      name,
      hash,
      scopes: ["read"],
      createdAt: START,
      expiresAt: null,
      revokedAt: null,
      ...more,
    });
    return token;
  };
  const access = createAccess({
    tokenOf: (hash) => Promise.resolve(tokens.get(hash)),
    url: () => url,
    clock: () => now,
  });
  const jobs = {
    start: (request) => Promise.resolve(`job_${started.push(request)}`),
  } as Partial<BackgroundJobs>;
  const reader = { ...EMPTY, tokens: () => Promise.resolve([...tokens.values()]) };
  const recorded: Entry[] = [];
  const admin = createAdminApp(
    adminInbox({
      jobs: jobs as BackgroundJobs,
      reader: () => Promise.resolve(reader),
      record: (entries) => Promise.resolve(void recorded.push(...entries)),
      clock: () => now,
    }),
  );
  const bytes = new Uint8Array(Buffer.from(PAGE));
  const files: DashboardFiles = new Map([
    [
      "/",
      {
        type: "text/html; charset=utf-8",
        bytes,
        gzip: new Uint8Array(Bun.gzipSync(bytes)),
        etag: '"1"',
        immutable: false,
      },
    ],
    ["/assets/page-1.js", { type: "text/javascript", bytes, gzip: null, etag: '"2"', immutable: true }],
  ]);
  const app = createListenerApp({ admin, access, files: () => Promise.resolve(files) });
  return {
    started,
    recorded,
    routes: app.routes,
    fetch: (path: string, init: RequestInit) => app.request(path, init, { peer: "127.0.0.1" }),
    add,
    socket: createSocketApp(admin),
    wait: (ms: number): void => void (now += ms),
    change(token: string, more: Partial<StoredToken>): void {
      const stored = tokens.get(hashOf(token)) as StoredToken;
      tokens.set(stored.hash, { ...stored, ...more });
    },
    async send({ method = "GET", path = "/api/refused", headers = {}, body, peer = "127.0.0.1" }: Sent = {}) {
      const init = {
        method,
        headers: {
          host: LOCAL,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const response = await app.request(path, init, { peer });
      const text = await response.text();
      const { error } = (text.startsWith("{") ? JSON.parse(text) : {}) as { error?: { code: string } };
      return { status: response.status, code: error?.code, text, headers: response.headers };
    },
  };
}

type Published = ReturnType<typeof published>;

/** Logs in as the page does. @returns the Cookie header that a browser then sends */
async function login(
  api: Published,
  token: string,
  origin = `http://${LOCAL}`,
  host = LOCAL,
): Promise<string> {
  const { headers, status } = await api.send({
    method: "POST",
    path: "/api/session",
    headers: { origin, host, "sec-fetch-site": "same-origin" },
    body: { token },
  });
  expect(status).toBe(200);
  return (headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const JOB = { action: "apply" };

/** What happens, and what must not: a job that starts although it was refused would change something. */
interface Scenario {
  readonly name: string;
  readonly url?: string;
  readonly request: (api: Published) => Sent | Promise<Sent>;
  readonly answer: readonly [status: number, code?: string];
  readonly starts?: number;
}

const post = (headers: Record<string, string>, more: Sent = {}): Sent => ({
  method: "POST",
  path: "/api/jobs",
  body: JOB,
  headers,
  ...more,
});

const pause = (headers: Record<string, string>): Sent => ({
  method: "PUT",
  path: "/api/destinations/app/state",
  body: { state: "paused" },
  headers,
});

const steer = (api: Published): string => api.add("ops", { scopes: ["read", "steer"] });
const cookieWith = async (api: Published, token: string, headers: Record<string, string>): Promise<Sent> =>
  post({ cookie: await login(api, token), ...headers });

const SCENARIOS: readonly Scenario[] = [
  { name: "no token", request: () => post({}), answer: [401, "unauthenticated"] },
  { name: "no token, only to read", request: () => ({}), answer: [401, "unauthenticated"] },
  {
    name: "no token, a path that does not exist",
    request: () => ({ path: "/api/x" }),
    answer: [401, "unauthenticated"],
  },
  { name: "a token that reads", request: (api) => ({ headers: bearer(api.add("ci")) }), answer: [200] },
  { name: "a token that steers", request: (api) => post(bearer(steer(api))), answer: [202], starts: 1 },
  {
    name: "a token that may only read",
    request: (api) => post(bearer(api.add("ci"))),
    answer: [403, "scope_missing"],
  },
  {
    name: "a token that may only read, to pause a destination",
    request: (api) => pause(bearer(api.add("ci"))),
    answer: [403, "scope_missing"],
  },
  {
    name: "a token that steers, to pause a destination that nobody serves",
    request: (api) => pause(bearer(steer(api))),
    answer: [409, "not_serving"],
  },
  {
    name: "a session, and the page of another site, to pause a destination",
    request: async (api) => pause({ cookie: await login(api, steer(api)), origin: "https://evil.example" }),
    answer: [403, "origin_refused"],
  },
  { name: "an unknown token", request: () => post(bearer(randomToken())), answer: [401, "unauthenticated"] },
  {
    name: "an empty token",
    request: () => post({ authorization: "Bearer " }),
    answer: [401, "unauthenticated"],
  },
  {
    name: "Basic",
    request: (api) => post({ authorization: `Basic ${btoa(`ops:${steer(api)}`)}` }),
    answer: [401, "unauthenticated"],
  },
  {
    name: "the hash in place of the token",
    request: (api) => post(bearer(hashOf(steer(api)))),
    answer: [401, "unauthenticated"],
  },
  {
    name: "a token that has expired",
    request(api) {
      const token = api.add("ops", { scopes: ["steer"], expiresAt: START + DAY });
      api.wait(DAY);
      return post(bearer(token));
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "a token a moment before it expires",
    request(api) {
      const token = api.add("ops", { scopes: ["steer"], expiresAt: START + DAY });
      api.wait(DAY - 1);
      return post(bearer(token));
    },
    answer: [202],
    starts: 1,
  },
  {
    name: "a token that was revoked a moment ago",
    request(api) {
      const token = steer(api);
      api.change(token, { revokedAt: START });
      return post(bearer(token));
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "the actor of the socket, over HTTP",
    request: () => post({ "x-hookonce-actor": "root" }),
    answer: [401, "unauthenticated"],
  },
  {
    name: "a session of this page",
    request: (api) =>
      cookieWith(api, steer(api), { origin: `http://${LOCAL}`, "sec-fetch-site": "same-origin" }),
    answer: [202],
    starts: 1,
  },
  {
    name: "a session through an ssh tunnel to another port",
    request: async (api) =>
      post({
        cookie: await login(api, steer(api), "http://localhost:9000", "localhost:9000"),
        origin: "http://localhost:9000",
        host: "localhost:9000",
      }),
    answer: [202],
    starts: 1,
  },
  {
    name: "a session, and the page of another site",
    request: (api) =>
      cookieWith(api, steer(api), { origin: "https://evil.example", "sec-fetch-site": "cross-site" }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session, and another port of this machine",
    request: (api) =>
      cookieWith(api, steer(api), { origin: "http://127.0.0.1:3000", "sec-fetch-site": "same-site" }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session, and a sandboxed frame",
    request: (api) => cookieWith(api, steer(api), { origin: "null" }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session, and neither Origin nor Sec-Fetch-Site",
    request: (api) => cookieWith(api, steer(api), {}),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session, and only Sec-Fetch-Site: none",
    request: (api) => cookieWith(api, steer(api), { "sec-fetch-site": "none" }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a token from the page of another site",
    request: (api) => post({ ...bearer(steer(api)), origin: "https://evil.example" }),
    answer: [403, "origin_refused"],
  },
  {
    name: "the published page without url in the config",
    request: (api) => cookieWith(api, steer(api), { origin: PUBLISHED }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session of the published page",
    url: PUBLISHED,
    request: async (api) =>
      post({
        cookie: await login(api, steer(api), PUBLISHED, "hooks.example.com"),
        origin: PUBLISHED,
        host: "hooks.example.com",
      }),
    answer: [202],
    starts: 1,
  },
  {
    name: "the published page behind a proxy that sends its own Host",
    url: PUBLISHED,
    request: async (api) => post({ cookie: await login(api, steer(api), PUBLISHED), origin: PUBLISHED }),
    answer: [202],
    starts: 1,
  },
  {
    name: "the published name over plain HTTP",
    url: PUBLISHED,
    request: async (api) =>
      post({
        cookie: await login(api, steer(api), PUBLISHED),
        origin: "http://hooks.example.com",
        host: "hooks.example.com",
      }),
    answer: [403, "origin_refused"],
  },
  {
    name: "a session after seven days",
    async request(api) {
      const cookie = await login(api, steer(api));
      api.wait(7 * DAY);
      return post({ cookie, origin: `http://${LOCAL}` });
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "a session whose token has expired",
    async request(api) {
      const cookie = await login(api, api.add("ops", { scopes: ["steer"], expiresAt: START + 1000 }));
      api.wait(1000);
      return post({ cookie, origin: `http://${LOCAL}` });
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "a session whose token was revoked a moment ago",
    async request(api) {
      const token = steer(api);
      const cookie = await login(api, token);
      api.change(token, { revokedAt: START });
      return post({ cookie, origin: `http://${LOCAL}` });
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "a session that has ended",
    async request(api) {
      const cookie = await login(api, steer(api));
      await api.send({
        method: "DELETE",
        path: "/api/session",
        headers: { cookie, origin: `http://${LOCAL}` },
      });
      return post({ cookie, origin: `http://${LOCAL}` });
    },
    answer: [401, "unauthenticated"],
  },
  {
    name: "the token itself as a cookie",
    request: (api) => post({ cookie: `hookonce=${steer(api)}`, origin: `http://${LOCAL}` }),
    answer: [401, "unauthenticated"],
  },
  {
    name: "a name that points to this machine (DNS rebinding)",
    request: (api) => post({ ...bearer(steer(api)), host: "evil.example:8788" }),
    answer: [403, "host_refused"],
  },
  {
    name: "a name that begins like this machine",
    request: (api) => post({ ...bearer(steer(api)), host: "127.0.0.1.evil.example" }),
    answer: [403, "host_refused"],
  },
  {
    name: "a login from another site",
    request: (api) => ({
      method: "POST",
      path: "/api/session",
      headers: { origin: "https://evil.example" },
      body: { token: steer(api) },
    }),
    answer: [403, "origin_refused"],
  },
  {
    name: "the published name without url in the config",
    request: () => ({ path: "/", headers: { host: "hooks.example.com" } }),
    answer: [403, "host_refused"],
  },
];

describe("the API over HTTP", () => {
  test.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    async (_name, scenario) => {
      const api = published({ url: scenario.url ?? null });
      const { status, code, text, headers } = await api.send(await scenario.request(api));
      expect([status, code]).toEqual([scenario.answer[0], scenario.answer[1]]);
      expect(api.started.length).toBe(scenario.starts ?? 0);
      if (status >= 400) {
        expect(text).not.toContain(PAGE);
        expect(headers.get("set-cookie")).toBeNull();
      }
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("access-control-allow-origin")).toBeNull();
    },
  );

  test("no route answers without a token", async () => {
    const api = published();
    const asked = new Set<string>();
    for (const { method, path } of api.routes) {
      if (!path.startsWith("/api/") || path === "/api/session" || path === "/api/*") continue;
      const { status, code } = await api.send({ method, path: path.replace(/:\w+/, "x") });
      expect([method, path, status, code]).toEqual([method, path, 401, "unauthenticated"]);
      asked.add(path);
    }
    expect(asked.size).toBeGreaterThan(8);
  });

  test("every route that changes something, and each that shows secrets, needs more than the scope read", async () => {
    const api = published();
    const [reads, steers] = [bearer(api.add("ci")), bearer(steer(api))];
    const refused: string[] = [];
    for (const { method, path } of api.routes) {
      if (!path.startsWith("/api/") || path === "/api/session" || path === "/api/*") continue;
      // It only reads, and its answer has no end.
      if (path === "/api/stream") continue;
      const asked = { method, path: path.replace(/:\w+/, "x") };
      const { status, code } = await api.send({ ...asked, headers: reads });
      if (code === "scope_missing") {
        expect([method, path, status]).toEqual([method, path, 403]);
        expect((await api.send({ ...asked, headers: steers })).code).not.toBe("scope_missing");
        refused.push(`${method} ${path}`);
      } else expect([path, method]).toEqual([path, "GET"]);
    }
    expect(api.started).toEqual([]);
    expect(refused).toEqual(
      expect.arrayContaining([
        "POST /api/jobs",
        "DELETE /api/jobs/:id",
        "POST /api/tokens",
        "DELETE /api/tokens/:name",
        "PUT /api/destinations/:name/state",
        "POST /api/fixtures",
        "POST /api/try",
        "GET /api/shown-secrets",
      ]),
    );
  });

  test("a session cookie cannot be read by scripts or sent by other sites", async () => {
    const local = published();
    const answer = await local.send({
      method: "POST",
      path: "/api/session",
      body: { token: local.add("ops") },
      headers: { origin: `http://${LOCAL}` },
    });
    expect(answer.headers.get("set-cookie")).toMatch(
      /^hookonce=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/,
    );
    expect(JSON.parse(answer.text)).toEqual({ name: "ops", scopes: ["read"], expires_at: null });
    const remote = published({ url: PUBLISHED });
    const { headers } = await remote.send({
      method: "POST",
      path: "/api/session",
      body: { token: remote.add("ops", { expiresAt: START + 60_000 }) },
      headers: { origin: PUBLISHED },
    });
    expect(headers.get("set-cookie")).toMatch(
      /^__Host-hookonce=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure; Max-Age=60$/,
    );
  });

  test("wrong tokens have to wait longer and longer, each address alone", async () => {
    const api = published();
    const attempt = async (peer = "192.0.2.1"): Promise<number> =>
      (await api.send({ headers: bearer("wrong"), peer })).status;
    for (let wrong = 1; wrong <= 5; wrong++) expect(await attempt()).toBe(401);
    expect(await attempt()).toBe(429);
    expect(await attempt("192.0.2.2")).toBe(401);
    api.wait(1000);
    expect(await attempt()).toBe(401);
    api.wait(1000);
    expect(await attempt()).toBe(429);
    api.wait(15 * 60_000 + 2000);
    for (let wrong = 1; wrong <= 5; wrong++) expect(await attempt()).toBe(401);
  });

  // Behind a proxy all have the same address, so anyone could keep the owner out.
  test("a right token never has to wait, and a login does not either", async () => {
    const api = published();
    const token = api.add("ops");
    for (let wrong = 0; wrong < 9; wrong++) await api.send({ headers: bearer("wrong") });
    expect((await api.send({ headers: bearer("wrong") })).status).toBe(429);
    expect((await api.send({ headers: bearer(token) })).status).toBe(200);
    expect(await login(api, token)).toStartWith("hookonce=");
    // And it does not help those who try.
    expect((await api.send({ headers: bearer("wrong") })).status).toBe(429);
  });

  test("no wait is longer than a minute", async () => {
    const api = published();
    for (let wrong = 0; wrong < 40; wrong++) {
      await api.send({ headers: bearer("wrong") });
      api.wait(60_000);
    }
    expect((await api.send({ headers: bearer("wrong") })).status).toBe(401);
  });

  test.each([
    ["a long token", { token: "a".repeat(5000) }],
    ["many keys", Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, 1]))],
    ["a list", Array.from({ length: 3000 }, () => 0)],
  ])("a login with %s is refused before it is parsed", async (_, body) => {
    const { status, code, text } = await published().send({ method: "POST", path: "/api/session", body });
    expect([status, code]).toEqual([400, "invalid_request"]);
    expect(text).toContain("at most 4096 bytes");
  });

  test("a message does not name hundreds of unknown keys", async () => {
    const body = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`k${n}`, 1]));
    const { status, text } = await published().send({ method: "POST", path: "/api/session", body });
    expect(status).toBe(400);
    expect(text).toContain("k0, k1, ");
    expect(text).toContain(" and 380 more");
  });

  test.each(["/api/session", "/api/jobs", "/api/tokens"])(
    "a body that is not JSON is the sender's mistake: %s",
    async (path) => {
      const api = published();
      const response = await api.fetch(path, {
        method: "POST",
        headers: { host: LOCAL, "content-type": "application/json", ...bearer(steer(api)) },
        body: "{",
      });
      expect(response.status).toBe(400);
      expect(await response.text()).toContain("its body is not JSON");
    },
  );

  test.each([
    [null, 400],
    [START + DAY + 1, 400],
    [START + DAY, 201],
    [START + 1, 201],
  ])("a token that expires makes none that is valid for longer: until %p", async (expires_at, status) => {
    const api = published();
    const token = api.add("ops", { scopes: ["read", "steer"], expiresAt: START + DAY });
    const made = await api.send({
      method: "POST",
      path: "/api/tokens",
      headers: bearer(token),
      body: { name: "more", scopes: ["read"], expires_at },
    });
    expect(made.status).toBe(status);
    if (status === 400) expect(made.text).toContain('the token \\"ops\\" expires at');
  });

  test.each([
    [["read"], ["read"], 403],
    [["read", "steer"], ["read"], 201],
    [["read", "steer"], ["read", "steer"], 201],
    [["steer"], ["read"], 403],
    [["read", "steer"], ["forget"], 403],
    [["read", "steer"], ["read", "steer", "forget"], 403],
    [["read", "forget"], ["read"], 403],
    [["read", "steer", "forget"], ["read", "forget"], 201],
  ] as const)("a token with %j that makes one with %j is answered %p", async (own, scopes, status) => {
    const api = published();
    const headers = bearer(api.add("ops", { scopes: [...own] }));
    const made = await api.send({
      method: "POST",
      path: "/api/tokens",
      headers,
      body: { name: "more", scopes },
    });
    expect([made.status, made.code]).toEqual([status, status === 403 ? "scope_missing" : undefined]);
  });

  test("the scope steer revokes a token with more scopes, too, and is named in the audit list", async () => {
    const api = published();
    api.add("eraser", { scopes: ["read", "steer", "forget"] });
    const revoke = (token: string) =>
      api.send({ method: "DELETE", path: "/api/tokens/eraser", headers: bearer(token) });
    expect((await revoke(api.add("ci", { scopes: ["read", "forget"] }))).code).toBe("scope_missing");
    expect(api.recorded).toEqual([]);
    expect((await revoke(steer(api))).status).toBe(200);
    expect(api.recorded).toEqual([
      { entry: "revoke", name: "eraser", at: START },
      {
        entry: "audit",
        change: { at: START, actor: "ops", action: "token revoke", target: "eraser", reason: null },
      },
    ]);
  });

  test("no token is 24 characters or shorter, or has another character than A–Z a–z 0–9 _ -", () => {
    const tokens = Array.from({ length: 100 }, randomToken);
    for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
    expect(new Set(tokens).size).toBe(100);
  });
});

test("a request with more keys or arrays than any needs is refused before it is parsed", async () => {
  const api = published();
  const headers = bearer(api.add("ci", { scopes: ["read", "steer"] }));
  const send = (body: unknown) => api.send({ method: "POST", path: "/api/jobs", headers, body });
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`"k\\${n}`, n]));
  for (const body of [
    { action: "apply", ...many },
    { action: "apply", ids: Array.from({ length: 5000 }, () => ({})) },
    { action: "apply", ids: Array.from({ length: 200_000 }, () => []) },
  ]) {
    const { status, text } = await send(body);
    expect([status, text]).toEqual([400, expect.stringContaining("more than 1000 keys or 100000 arrays")]);
  }
  expect(api.started).toEqual([]);
  // What ids have between their quotation marks does not count.
  const events = Array.from({ length: 50_000 }, (_, n) => [`\\"{"a":[${n}\\`, "a:b", 1]);
  expect((await send({ action: "import", source: "shop", events })).status).toBe(202);
  expect(api.started).toHaveLength(1);
});

describe("the page", () => {
  test("loads nothing from elsewhere, runs no inline script, and no other page embeds it", async () => {
    const { headers, text, status } = await published().send({ path: "/" });
    expect([status, text]).toEqual([200, PAGE]);
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|data:/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("cache-control")).toBe("no-cache");
  });

  test("has a path for each of its views, and none for anything else", async () => {
    const api = published();
    expect((await api.send({ path: "/events?source=stripe" })).text).toBe(PAGE);
    for (const path of ["/assets/page-2.js", "/favicon.ico", "/a/b", "/..%2fhookonce.toml"])
      expect((await api.send({ path })).status).toBe(404);
    expect((await api.send({ path: "/", method: "POST" })).status).toBe(404);
  });

  test("is compressed if the browser says so, and its files are kept for a year", async () => {
    const api = published();
    const file = await api.send({ path: "/assets/page-1.js", headers: { "accept-encoding": "gzip, br" } });
    expect(file.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(file.headers.get("content-encoding")).toBeNull();
    const page = await api.send({ path: "/", headers: { "accept-encoding": "gzip, br" } });
    expect(page.headers.get("content-encoding")).toBe("gzip");
    expect(page.headers.get("vary")).toBe("accept-encoding");
  });

  test("is not sent again to a browser that has it", async () => {
    const api = published();
    const etag = (await api.send({ path: "/" })).headers.get("etag") ?? "";
    const again = await api.send({ path: "/", headers: { "if-none-match": etag } });
    expect([again.status, again.text]).toEqual([304, ""]);
    expect(again.headers.get("content-security-policy")).toContain("default-src 'none'");
    const other = await api.send({ path: "/", headers: { "if-none-match": '"other"' } });
    expect([other.status, other.text]).toEqual([200, PAGE]);
  });
});

test("the owner of the socket may do everything without a token", async () => {
  const api = published();
  const answer = await api.socket.request("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(JOB),
  });
  expect([answer.status, api.started.length]).toEqual([202, 1]);
});
