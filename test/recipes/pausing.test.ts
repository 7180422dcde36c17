import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { run, scratch, serve, type Ended, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { block } from "../support/readme.ts";
import { stripeSignature } from "../support/stripe.ts";

/** The README's "Deploy a new handler, or migrate a table", while Stripe delivers. */

const SECRET = "whsec_recipes";

const FILES = {
  "hookonce.toml": `version = 1

[sources.stripe]
provider = "stripe"
secret = "env:STRIPE_WEBHOOK_SECRET"
`,
  ".env": `STRIPE_WEBHOOK_SECRET=${SECRET}\n`,
  "migrations/0001_effects.sql": "create table effects (event_id text not null, note text);",
  "handlers/stripe/invoice.paid.sql": "insert into effects values (:event_id, 'old');",
  "new/invoice.paid.sql": "insert into effects (event_id, note) values (:event_id, 'new');",
  "new/0002_currency.sql": "alter table effects add column currency text not null default 'eur';",
};

/** Runs a line as the shell would. */
async function runLine(inbox: Scratch, line: string): Promise<Ended | undefined> {
  const [command = "", ...args] = line
    .replace(/\s+#.*$/, "")
    .trim()
    .split(/\s+/);
  if (command === "hookonce") return run(args, { cwd: inbox.path });
  const [from = "", to = ""] = args;
  expect(command).toBe("cp");
  const target = to.endsWith("/") ? `${to}${from.split("/").at(-1)}` : to;
  copyFileSync(join(inbox.path, from), join(inbox.path, target));
  return undefined;
}

const linesOf = (containing: string): string[] =>
  block("sh", containing)
    .split("\n")
    .filter((line) => line !== "");

async function deliver(server: Serving, id: string): Promise<string> {
  const body = JSON.stringify({ id, type: "invoice.paid", data: { object: {} } });
  const response = await fetch(`${server.url}/webhook/stripe`, {
    method: "POST",
    body,
    headers: { "stripe-signature": stripeSignature(SECRET, body) },
  });
  return String(((await response.json()) as { status?: string }).status);
}

function rows(inbox: Scratch, sql: string): unknown[][] {
  using database = new Database(join(inbox.path, "data/hookonce.db"), { readonly: true });
  return database.prepare(sql).values();
}

async function untilOpen(inbox: Scratch): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (rows(inbox, "select 1 from hookonce_source_states").length > 0) {
    if (performance.now() > deadline) throw new Error("the source was not open within 20 s");
    await Bun.sleep(20);
  }
}

describeUnless(onlyInFullRun(), "the recipe for a deployment", () => {
  test("a new handler runs what arrived meanwhile, in order, and nothing is lost", async () => {
    using inbox = scratch(FILES);
    await using server = await serve(inbox.path, { dev: false });
    expect(await deliver(server, "evt_0")).toBe("processed");
    const said: string[] = [];
    for (const [n, line] of linesOf("hookonce reload  ").entries()) {
      const ended = await runLine(inbox, line);
      expect([line, ended?.code ?? 0]).toEqual([line, 0]);
      said.push(ended?.stdout ?? "");
      if (n < 4) expect(await deliver(server, `evt_${n + 1}`)).toBe("held");
    }
    expect(said[4]).toContain("Resuming stripe: 4 held events run now, in the order received.");
    await untilOpen(inbox);
    expect(await deliver(server, "evt_5")).toBe("processed");
    expect(rows(inbox, "select event_id, note from effects order by rowid")).toEqual([
      ["evt_0", "old"],
      ...[1, 2, 3, 4, 5].map((n) => [`evt_${n}`, "new"]),
    ]);
  }, 120_000);

  test("a migration is applied by a restart while the source is paused", async () => {
    using inbox = scratch(FILES);
    const lines = linesOf("0002_currency.sql");
    const restart = lines.indexOf("systemctl restart hookonce");
    expect([restart, lines.length]).toEqual([4, 6]);
    const runAll = async (some: readonly string[]): Promise<void> => {
      for (const line of some) {
        const ended = await runLine(inbox, line);
        expect([line, ended?.code ?? 0]).toEqual([line, 0]);
      }
    };
    {
      await using server = await serve(inbox.path, { dev: false });
      expect(await deliver(server, "evt_0")).toBe("processed");
      await runAll(lines.slice(0, restart));
      expect(await deliver(server, "evt_1")).toBe("held");
    }
    await using server = await serve(inbox.path, { dev: false });
    expect(await deliver(server, "evt_2")).toBe("held");
    await runAll(lines.slice(restart + 1));
    await untilOpen(inbox);
    expect(rows(inbox, "select event_id, note, currency from effects order by rowid")).toEqual([
      ["evt_0", "old", "eur"],
      ["evt_1", "new", "eur"],
      ["evt_2", "new", "eur"],
    ]);
  }, 120_000);
});
