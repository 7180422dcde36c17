import { expect, test } from "bun:test";
import { Hono } from "hono";
import type { Env } from "../../src/http/routes.ts";
import { listen } from "../../src/http/server.ts";

test("answers 503 with Retry-After until the routes are ready", async () => {
  const server = listen(null, { hostname: "127.0.0.1", port: 0 });
  try {
    for (const path of ["/webhook", "/readyz", "/healthz"]) {
      const answer = await fetch(`${server.url}${path}`);
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
      expect(await answer.json()).toMatchObject({ error: { code: "starting" } });
    }
    const routes = new Hono<Env>();
    routes.get("/readyz", (c) => c.text("ready"));
    server.serve(() => routes);
    expect(await (await fetch(`${server.url}/readyz`)).text()).toBe("ready");
  } finally {
    await server.stop(0);
  }
});
