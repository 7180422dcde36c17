import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { commands } from "../src/cli/commands.ts";
import { keysAt } from "../src/config/schema.ts";
import { providers } from "../src/providers/presets.ts";
import { block, readme } from "./support/readme.ts";
import { stripeSignature } from "./support/stripe.ts";
import { testInbox } from "./support/test-inbox.ts";

const root = join(import.meta.dir, "..");
const contributing = readFileSync(join(root, "CONTRIBUTING.md"), "utf8");

function signed(secret: string, text: string, encoding: "hex" | "base64"): string {
  return new Bun.CryptoHasher("sha256", secret).update(text).digest(encoding);
}

describe("the README", () => {
  test("has a config that works, and so does the scheme that it spells out", async () => {
    const config = block("toml", "GITHUB_SECRET").replace(/^version.*$/m, "");
    const shop = block("toml", "[sources.shop]");
    await using inbox = await testInbox({
      config: `${config}\n${shop}`,
      files: { "secrets/github-old": "old\n" },
      environment: { GITHUB_SECRET: "new", SHOP_SECRET: "shop" },
    });
    const push = JSON.stringify({ ref: "refs/heads/main" });
    const toGithub = (secret: string, id: string) =>
      inbox.deliver(push, {
        source: "github",
        headers: {
          "x-hub-signature-256": `sha256=${signed(secret, push, "hex")}`,
          "x-github-event": "push",
          "x-github-delivery": id,
        },
      });
    expect([
      (await toGithub("new", "a")).status,
      (await toGithub("old", "b")).status,
      (await toGithub("other", "c")).status,
    ]).toEqual([200, 200, 401]);

    const order = JSON.stringify({ event: "order.paid" });
    const time = Math.trunc(Date.now() / 1000);
    const answer = await inbox.deliver(order, {
      source: "shop",
      headers: {
        "x-shop-signature": `v0=nonsense,v1=${signed("shop", `o1.${time}.${order}`, "base64")}`,
        "x-shop-time": `${time}`,
        "x-shop-id": "o1",
      },
    });
    expect(answer.body).toMatchObject({ status: "unhandled", event_id: "o1" });
  });

  test("has a first provider, its handler and queries of stored data that work", async () => {
    await using inbox = await testInbox({
      config: block("toml", '[sources.stripe]\nprovider = "stripe"\nsecret '),
      files: {
        "migrations/0001.sql":
          "create table credits (customer text primary key, cents integer not null) strict;",
        "handlers/stripe/checkout.session.completed.sql": block("sql", "insert into credits"),
      },
      environment: { STRIPE_WEBHOOK_SECRET: "whsec_readme" },
    });
    const body = JSON.stringify({
      id: "evt_1",
      type: "checkout.session.completed",
      data: { object: { client_reference_id: "ada", payment_status: "paid", amount_total: 500 } },
    });
    const deliver = () =>
      inbox.deliver(body, {
        source: "stripe",
        headers: { "stripe-signature": stripeSignature("whsec_readme", body) },
      });
    expect([(await deliver()).body.status, (await deliver()).body.status]).toEqual([
      "processed",
      "duplicate",
    ]);
    expect(inbox.rows("select customer, cents from credits")).toEqual([{ customer: "ada", cents: 500 }]);

    const [outcome, failures, raw] = block("sql", "hookonce_failures")
      .split(";")
      .map((query) => query.trim())
      .filter((query) => query !== "");
    expect(inbox.rows(outcome as string)).toMatchObject([
      { outcome: "processed", rows_changed: 1, deliveries: 2 },
    ]);
    expect(inbox.rows(failures as string)).toEqual([]);
    expect(Object.values(inbox.rows(raw as string)[0] as object)).toContain(body);
  });

  test("has a TypeScript handler that works", async () => {
    await using inbox = await testInbox({
      files: {
        "migrations/0001.sql": "create table pushes (repo text not null, sha text not null) strict;",
        "handlers/default/_any.ts": block("ts", "insert into pushes"),
      },
    });
    const answer = await inbox.deliver({
      event_id: "1",
      repository: { full_name: "ada/engine" },
      after: "abc",
    });
    expect(answer.body.status).toBe("processed");
    expect(inbox.rows("select * from pushes")).toEqual([{ repo: "ada/engine", sha: "abc" }]);
  });

  test.each([
    ["sql", "hookonce_outbox", '{"to":"ada@example.com","text":"Thank you"}'],
    ["ts", "enqueue(", '{"to":"ada@example.com","text":"Thank you"}'],
  ])("has a handler in %s that writes a message", async (language, containing, message) => {
    await using inbox = await testInbox({
      config: `
[sources.default]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
[destinations.mail]
url = "http://127.0.0.1:3000/mail"
sign = "none"`,
      files: { [`handlers/default/_any.${language}`]: block(language, containing) },
    });
    const event = { id: "1", type: "paid", data: { object: { customer_email: "ada@example.com" } } };
    expect((await inbox.deliver(event)).body.status).toBe("processed");
    expect((await inbox.deliver(event)).body.status).toBe("duplicate");
    const rows = inbox.rows(
      "select destination, event_id, cast(body as text) as body from hookonce_messages",
    );
    expect(rows).toEqual([{ destination: "mail", event_id: "1", body: message }]);
  });

  test("has a source that ignores test events", async () => {
    await using inbox = await testInbox({
      config: block("toml", "test_events"),
      files: { "handlers/stripe/_any.sql": "select 1;" },
      environment: { STRIPE_WEBHOOK_SECRET: "whsec_readme" },
    });
    const deliver = (id: string, livemode: boolean) => {
      const body = JSON.stringify({ id, type: "invoice.paid", livemode });
      const headers = { "stripe-signature": stripeSignature("whsec_readme", body) };
      return inbox.deliver(body, { source: "stripe", headers });
    };
    expect((await deliver("evt_1", false)).body.status).toBe("ignored");
    expect((await deliver("evt_2", true)).body.status).toBe("processed");
  });

  test("has a held_reply that the caller of a paused source gets", async () => {
    await using inbox = await testInbox({
      config: block("toml", "held_reply"),
      environment: { SLACK_SIGNING_SECRET: "shhh" },
    });
    await inbox.pausing.pause("commands", {}, "sam");
    const body = "command=%2Fweather&text=94070&trigger_id=1.2&team_id=T1";
    const time = String(Math.trunc(Date.now() / 1000));
    const answer = await inbox.deliver(body, {
      source: "commands",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": time,
        "x-slack-signature": `v0=${signed("shhh", `v0:${time}:${body}`, "hex")}`,
      },
    });
    expect([answer.status, answer.body]).toEqual([200, { text: "Back in a few minutes." }] as unknown[]);
    expect(inbox.value("select outcome from hookonce_events")).toBe("held");
  });

  test("has paths in redact whose values are not stored", async () => {
    await using inbox = await testInbox({
      config: block("toml", "redact =").replace(
        "[sources.stripe]",
        '[sources.stripe]\nprovider = "stripe"\nsecret = "env:S"',
      ),
      files: { "handlers/stripe/_any.sql": "select 1;" },
      environment: { S: "whsec_readme" },
    });
    const details = { email: "ada@example.com", address: { city: "London" }, phone: "stays" };
    const body = JSON.stringify({
      id: "evt_1",
      type: "checkout.session.completed",
      livemode: true,
      data: { object: { customer_details: details } },
    });
    const headers = { "stripe-signature": stripeSignature("whsec_readme", body) };
    expect((await inbox.deliver(body, { source: "stripe", headers })).body.status).toBe("processed");
    const stored = (await (await inbox.api("/api/event?source=stripe&event_id=evt_1")).json()) as {
      payload: { data: { object: { customer_details: unknown } } };
    };
    expect(stored.payload.data.object.customer_details).toEqual({
      email: "[redacted]",
      address: "[redacted]",
      phone: "stays",
    });
  });

  test("has a rule of newest_wins that works", async () => {
    await using inbox = await testInbox({
      config: block("toml", "newest_wins"),
      files: {
        "migrations/0001.sql": "create table plans (id text primary key, plan text not null) strict;",
        "handlers/stripe/customer.subscription.sql":
          "insert into plans values (:payload ->> '$.data.object.id', :payload ->> '$.data.object.plan') on conflict do update set plan = excluded.plan;",
      },
      environment: { STRIPE_WEBHOOK_SECRET: "whsec_readme" },
    });
    const deliver = (id: string, type: string, created: number, plan: string) => {
      const body = JSON.stringify({
        id,
        type: `customer.subscription.${type}`,
        created,
        data: { object: { id: "sub_1", plan } },
      });
      const headers = { "stripe-signature": stripeSignature("whsec_readme", body) };
      return inbox.deliver(body, { source: "stripe", headers });
    };
    await deliver("evt_2", "updated", 2, "large");
    const { status, body } = await deliver("evt_1", "created", 1, "small");
    expect([status, body.status, body.message]).toEqual([200, "stale", "Webhook received"]);
    expect(inbox.rows("select * from plans")).toEqual([{ id: "sub_1", plan: "large" }]);
  });

  test("names every key of the config, every provider and every command", () => {
    for (const key of [
      ...keysAt([]),
      ...keysAt(["admin"]),
      ...keysAt(["retention"]),
      ...keysAt(["destinations", "x"]),
      ...keysAt(["sources", "x"]),
      ...keysAt(["sources", "x", "signature"]),
      ...keysAt(["sources", "x", "newest_wins"]),
      ...keysAt(["sources", "x", "forward"]),
    ]) {
      if (key !== "sources" && key !== "destinations")
        expect({ key, told: new RegExp(`\\b${key}\\b`).test(readme) }).toEqual({ key, told: true });
    }
    for (const name of providers.keys())
      expect({ name, listed: readme.includes(`| \`${name}\` |`) }).toEqual({ name, listed: true });
    for (const { name } of commands)
      expect([name, readme.includes(`hookonce ${name}`)]).toEqual([name, true]);
  });

  test("has a table of contents with every section, in order", () => {
    const outsideBlocks = readme.replaceAll(/^ *```[^]*?^ *```$/gm, "");
    const sections = [...outsideBlocks.matchAll(/^(##+) (.*)$/gm)].map(([, marks = "", title = ""]) => {
      // As GitHub makes a heading's anchor.
      const anchor = title
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, "")
        .replaceAll(" ", "-");
      return `${"  ".repeat(marks.length - 2)}- [${title}](#${anchor})`;
    });
    expect(readme).toContain(`\n\n${sections.join("\n")}\n\n## `);
    const anchors = sections.map((line) => /\(#(.*)\)/.exec(line)?.[1]);
    for (const [, anchor] of readme.matchAll(/\]\(#([^)]*)\)/g)) expect(anchors).toContain(anchor);
  });

  test("pins the project's version of Bun in its commands", () => {
    const pinned = [...readme.matchAll(/npx -y (bun@[\d.]+) (?:run ([\w:]+)|install)/g)];
    expect(pinned.length).toBe(5);
    for (const [, version, script] of pinned) {
      expect(version).toBe(packageJson.packageManager);
      if (script !== undefined) expect(packageJson.scripts).toHaveProperty([script]);
    }
  });
});

describe("CONTRIBUTING.md", () => {
  test("gives a reason for every package, and names no other", () => {
    const packages = Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies });
    const [, section = ""] = /^## Packages\n([^]*?)^## /m.exec(contributing) ?? [];
    const named = [...section.matchAll(/\*\*([^*]+)\*\*/g)].map(([, name]) => name as string);
    expect(named.sort()).toEqual(packages.sort());
  });

  test("names only files and folders that exist", () => {
    const named = [...contributing.matchAll(/\b(?:src|test|drizzle)\/[\w./-]*/g)].map(([path]) => path);
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter((path) => !existsSync(join(root, path.replace(/\.$/, ""))))).toEqual([]);
  });

  test("uses the project's version of Bun, and only scripts that exist", () => {
    expect(contributing).toContain(packageJson.packageManager);
    for (const [, script] of contributing.matchAll(/bun run ([\w:]+)/g))
      expect(packageJson.scripts).toHaveProperty([script as string]);
  });
});
