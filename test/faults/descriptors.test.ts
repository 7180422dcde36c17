import { expect, test } from "bun:test";
import { Agent, request as send } from "node:http";
import { fromSource, inboxFiles, paid, scratch, serve } from "../cli/support/hookonce.ts";
import { describeUnless, needsLinux, onlyInFullRun } from "../crash/requirements.ts";
import { rawClient, type RawClient } from "../server/support/raw-client.ts";

/** Enough for a start, and for some connections. */
const LIMIT = 120;

const limited = ["/bin/sh", "-c", `ulimit -n ${LIMIT}; exec "$0" "$@"`, ...fromSource];

describeUnless(needsLinux() ?? onlyInFullRun(), "without a free descriptor", () => {
  test("serve says so in the log and in /readyz, answers the open connections, and recovers", async () => {
    using folder = scratch(inboxFiles);
    await using server = await serve(folder.path, { program: limited });
    // One connection that stays open.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const request = (path: string, body?: object): Promise<{ status: number | undefined; text: string }> =>
      new Promise((resolve, reject) => {
        const method = body === undefined ? "GET" : "POST";
        const sent = send(`${server.url}${path}`, { agent, method }, (answer) => {
          let text = "";
          answer.on("data", (piece: Buffer) => (text += piece.toString()));
          answer.on("end", () => resolve({ status: answer.statusCode, text }));
        });
        sent.on("error", reject);
        sent.end(body === undefined ? undefined : JSON.stringify(body));
      });
    expect((await request("/webhook", paid)).status).toBe(200);
    expect((await request("/readyz?within=0")).status).toBe(200);

    const others: RawClient[] = [];
    for (let n = 0; n < LIMIT; n++) others.push(await rawClient(server.url));
    expect(await server.logged("no further connection is accepted")).toMatchObject({
      level: "warn",
      code: "too_many_files",
    });
    expect((await request("/readyz?within=0")).text).toContain("LimitNOFILE");
    // The database needs no further file.
    expect((await request("/webhook", { ...paid, event_id: "evt_2" })).status).toBe(200);
    expect((await request("/webhook", { ...paid, event_id: "evt_2" })).text).toContain("duplicate");

    for (const client of others) client.hangUp();
    await server.logged("connections are accepted again");
    expect((await request("/readyz?within=0")).status).toBe(200);
    expect((await server.post("/webhook", paid)).body["status"]).toBe("duplicate");
    agent.destroy();
  }, 60_000);
});
