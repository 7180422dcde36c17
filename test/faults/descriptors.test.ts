import { describe, expect } from "bun:test";
import { inboxFiles, paid, scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { needsLinux, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { binary, ensureBinary } from "../crash/server.ts";
import { rawClient, type RawClient } from "../server/support/raw-client.ts";

const LIMIT = 90;
const reason = onlyInFullRun() ?? needsLinux();

/** Bun raises a soft limit, so this sets the hard limit, too. */
async function serveWithFew(folder: string): Promise<Serving> {
  await ensureBinary();
  return serve(folder, { program: ["bash", "-c", `ulimit -n ${LIMIT}; exec "$@"`, "bash", binary] });
}

const few = ({ msg }: Record<string, unknown>): boolean => String(msg).startsWith("few file descriptors");

/** More connections than the server has descriptors. Each sends this text. */
const fill = (url: string, text: string): Promise<RawClient[]> =>
  Promise.all(
    Array.from({ length: LIMIT + 20 }, async () => {
      const client = await rawClient(url);
      if (text !== "") await client.send(text);
      return client;
    }),
  );

describe("connections up to the limit of file descriptors", () => {
  testUnless(
    reason,
    "that are idle are closed, so that deliveries are answered; one warning names the remedy",
    async () => {
      using folder = scratch(inboxFiles);
      await using server = await serveWithFew(folder.path);
      const clients = await fill(server.url, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
      const idle = clients.map(({ answer }) => answer);
      // Those beyond the limit are accepted once the others are closed.
      for (const answer of await Promise.all(idle)) expect(answer).toMatchObject({ status: 200 });
      expect((await server.post("/webhook", paid)).status).toBe(200);
      expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
      while (!server.log.some(few)) await Bun.sleep(20);
      const lines = server.log.filter(few);
      expect(lines).toMatchObject([{ level: "warn", limit: LIMIT }]);
      expect(lines[0]?.["msg"]).toContain("LimitNOFILE=");
      for (const client of clients) client.hangUp();
    },
    120_000,
  );

  for (const [name, text] of [
    ["that send nothing", ""],
    ["that send half a header", "POST /webhook HTTP/1.1\r\nhost: loc"],
  ] as const) {
    testUnless(
      reason,
      `${name} make /readyz say so; open connections are served, and Bun closes the others in time`,
      async () => {
        using folder = scratch(inboxFiles);
        await using server = await serveWithFew(folder.path);
        // Requests that have begun are not idle.
        using ready = await rawClient(server.url);
        using delivery = await rawClient(server.url);
        await ready.send("GET /readyz HTTP/1.1\r\nhost: localhost\r\n");
        const body = JSON.stringify(paid);
        await delivery.send(
          `POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n`,
        );
        const clients = await fill(server.url, text);
        expect(await server.logged("no further connection is accepted")).toMatchObject({
          level: "warn",
          code: "too_many_files",
        });
        await ready.send("\r\n");
        await delivery.send(`\r\n${body}`);
        expect(await ready.answer).toMatchObject({ status: 503 });
        expect((await ready.answer)?.body).toContain("LimitNOFILE");
        expect(await delivery.answer).toMatchObject({ status: 200 });
        expect((await server.post("/webhook", { ...paid, event_id: "evt_2" })).status).toBe(200);
        for (const client of clients) client.hangUp();
        await server.logged("connections are accepted again");
        expect((await fetch(`${server.url}/readyz?within=0`)).status).toBe(200);
        expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
      },
      120_000,
    );
  }
});
