import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { EventJson, StatusJson } from "../../src/http/admin/shapes.ts";
import { run, scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { accessibilityProblems, noBrowser, startBrowser, type TestBrowser } from "./support/browser.ts";

/** Paused sources on the page, from Home's card to the events that are held. */

const CONFIG = `version = 1

[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
hold_after = 2

[sources.chat]
provider = "slack"
secret = "env:S"
`;

const FILES = {
  "hookonce.toml": CONFIG,
  ".env": "S=0123456789abcdef0123456789abcdef\n",
  "migrations/0001_effects.sql":
    "create table effects (id text not null);\ncreate table prices (cents integer not null);",
  "handlers/shop/paid.sql": "insert into effects values (:event_id);",
  "handlers/shop/priced.sql": "insert into prices values (null);",
};

/** An extra for looking at the page: where to write screenshots. */
const SHOTS = process.env["HOOKONCE_SCREENSHOTS"];

describeUnless(noBrowser ?? onlyInFullRun(), "paused sources in chromium", () => {
  let browser: TestBrowser;
  let folder: Scratch;
  let serving: Serving;
  let address: string;
  const tokens: Record<string, string> = {};
  const command = (...args: string[]) => run([...args, "--folder", folder.path]);
  const deliver = async (id: string, type = "paid"): Promise<string> =>
    String((await serving.post("/webhook/shop", { id, type })).body["status"]);

  beforeAll(async () => {
    folder = scratch(FILES);
    [browser, serving] = await Promise.all([startBrowser(), serve(folder.path)]);
    address = String((await serving.logged("listening"))["page"]);
    for (const [name, scopes] of [
      ["me", "read,steer"],
      ["reader", "read"],
    ] as const)
      tokens[name] = (await command("token", "create", "--name", name, "--scopes", scopes)).stdout.trim();
  }, 120_000);
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await serving?.[Symbol.asyncDispose]();
    folder?.[Symbol.dispose]();
  }, 30_000);

  async function loggedIn(name = "me") {
    const opened = await browser.open();
    await opened.page.goto(address);
    await opened.page.getByLabel("Token").fill(tokens[name] as string);
    await opened.page.getByRole("button", { name: "Log in" }).click();
    await opened.page.getByRole("navigation").waitFor();
    return opened;
  }

  test("a source is paused on its card, and resumed from Home's card", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${address}/sources`);
    const shop = page.getByRole("region", { name: "shop Unsigned" });
    await shop.getByText("✓ open").waitFor();
    await shop.getByRole("button", { name: "Pause…" }).click();
    const dialog = page.getByRole("dialog", { name: "Pause shop" });
    await dialog.getByLabel("Reason (optional)").fill("a new table");
    await dialog.getByLabel("Resume by itself after (optional)").fill("2 hours");
    await dialog.getByRole("button", { name: "Pause" }).click();
    // The field does not accept it, so nothing was sent.
    expect(await dialog.locator("input:invalid").count()).toBe(1);
    await dialog.getByLabel("Resume by itself after (optional)").fill("2h");
    await dialog.getByLabel("Answer 503 instead of storing").check();
    await dialog.getByText("Its deliveries are answered 503 and not stored.").waitFor();
    if (SHOTS !== undefined) {
      mkdirSync(SHOTS, { recursive: true });
      await page.screenshot({ path: join(SHOTS, "pause.png") });
    }
    await dialog.getByLabel("Answer 503 instead of storing").uncheck();
    expect(await accessibilityProblems(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Pause" }).click();
    await shop.getByText("○ paused").waitFor();
    await shop.getByText(/, until .*: a new table/).waitFor();
    const state = JSON.parse((await command("status", "--json")).stdout) as StatusJson;
    expect(state.paused).toMatchObject([{ name: "shop", state: "held", reason: "a new table" }]);
    expect((state.paused[0]?.until ?? 0) - (state.paused[0]?.since ?? 0)).toBe(2 * 3_600_000);
    for (const id of ["a", "b", "c"]) expect(await deliver(id)).toBe("held");
    await shop.getByRole("link", { name: "3 held" }).click();
    await page.getByRole("link", { name: "○ held", exact: true }).waitFor();
    const rows = page.getByRole("row").filter({ hasText: "held" });
    await rows.nth(2).waitFor();
    expect(await rows.count()).toBe(3);
    await rows.first().click();
    await page.getByText("while its source was paused. It runs when the source resumes.").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.goto(address);
    const card = page.getByRole("list", { name: "Problems" }).getByRole("listitem");
    await card.filter({ hasText: "shop is paused" }).getByText("3 events are held").waitFor();
    await card.getByRole("button", { name: "Resume" }).click();
    await card.filter({ hasText: "shop is paused" }).waitFor({ state: "detached" });
    for (let n = 0; (await deliver(`after ${n}`)) === "held"; n++) await Bun.sleep(20);
    await page.goto(`${address}/sources`);
    await shop.getByText("✓ open").waitFor();
    expect(wrong).toEqual([]);
  }, 60_000);

  test("a source that paused itself says why, and one that needs held_reply says so", async () => {
    for (const id of ["x", "y"]) expect(await deliver(id, "priced")).toBe("failed");
    expect(await deliver("z")).toBe("held");
    const { page, wrong } = await loggedIn();
    const card = page.getByRole("list", { name: "Problems" }).getByRole("listitem");
    await card.filter({ hasText: "shop is paused: 2 failures in a row (hold_after = 2)" }).waitFor();
    await page.goto(`${address}/sources`);
    const shop = page.getByRole("region", { name: "shop Unsigned" });
    await shop.getByText("2 failures in a row (hold_after = 2)").waitFor();
    const chat = page.getByRole("region", { name: "chat Slack" });
    await chat.getByRole("button", { name: "Pause…" }).click();
    const dialog = page.getByRole("dialog", { name: "Pause chat" });
    await dialog.getByRole("button", { name: "Pause" }).click();
    await dialog
      .getByRole("alert")
      .getByText("Slack shows the answer to a command or a click to the user")
      .waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    // The refused request is an error in the console.
    expect(wrong.filter((line) => !line.includes("409"))).toEqual([]);
    const reader = await loggedIn("reader");
    await reader.page.goto(`${address}/sources`);
    await reader.page.getByRole("region", { name: "shop Unsigned" }).getByText("○ paused").waitFor();
    expect(await reader.page.getByRole("button", { name: "Resume" }).count()).toBe(0);
    expect(await reader.page.getByRole("button", { name: "Pause" }).count()).toBe(0);
  }, 60_000);

  test("Resume stops at the first failure if that is ticked", async () => {
    // A resume would run these first.
    const failed = ["--source", "shop", "--outcome", "failed"];
    expect((await command("discard", ...failed, "--reason", "seen", "--yes")).code).toBe(0);
    const { page, wrong } = await loggedIn();
    await page.goto(`${address}/sources`);
    const shop = page.getByRole("region", { name: "shop Unsigned" });
    await shop.getByText("○ paused").waitFor();
    for (const [id, type] of [
      ["fails", "priced"],
      ["stays", "paid"],
    ] as const)
      expect(await deliver(id, type)).toBe("held");
    await page.reload();
    await shop.getByLabel("Stop at the first failure").check();
    await shop.getByRole("button", { name: "Resume" }).click();
    await shop.getByText("○ paused").waitFor();
    const held = async (): Promise<string[]> => {
      const { stdout } = await command("events", "--outcome", "held", "--json");
      return stdout
        .split("\n")
        .flatMap((line) => (line === "" ? [] : (JSON.parse(line) as EventJson).event_id));
    };
    while ((await held()).length !== 1) await Bun.sleep(50);
    expect(await held()).toEqual(["stays"]);
    expect(wrong).toEqual([]);
  }, 120_000);

  test("a reload shows what was loaded, or everything that is wrong", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${address}/sources#machine`);
    const machine = page.getByRole("region", { name: "This hookonce" });
    const button = machine.getByRole("button", { name: "Reload config and handlers" });
    await button.click();
    await machine.getByText(": 2 sources, 2 handlers, 0 destinations.").waitFor();
    folder.write({
      "handlers/shop/bad.sql": "insert into nowhere values (1);",
      "handlers/shop/worse.ts": "export default 1;",
    });
    await button.click();
    await machine.getByText("Refused: 2 problems.").waitFor();
    const problems = machine.getByRole("list", { name: "Problems of the reload" }).getByRole("listitem");
    expect((await problems.allTextContents()).map((text) => text.trim()).sort()).toEqual([
      expect.stringMatching(/^handlers\/shop\/bad\.sql:1 no such table: nowhere/),
      expect.stringMatching(/^handlers\/shop\/worse\.ts/),
    ] as string[]);
    expect(await accessibilityProblems(page)).toEqual([]);
    for (const name of ["bad.sql", "worse.ts"]) rmSync(join(folder.path, "handlers/shop", name));
    await button.click();
    await machine.getByText("✓ Reloaded").waitFor();
    expect(wrong.filter((line) => !line.includes("409"))).toEqual([]);
    const reader = await loggedIn("reader");
    await reader.page.goto(`${address}/sources#machine`);
    await reader.page.getByText("Running since").waitFor();
    expect(await reader.page.getByRole("button", { name: "Reload config and handlers" }).count()).toBe(0);
  }, 60_000);

  test.each(["light", "dark"] as const)(
    "axe finds nothing in the %s colours, and nothing is wider than a phone",
    async (colorScheme) => {
      await command(
        "pause",
        "shop",
        "--for",
        "2h",
        "--reason",
        "Migrating the table of invoices to the new schema",
      );
      await command("pause", "chat", "--refuse");
      expect(await deliver("seen")).toBe("held");
      const { page, wrong } = await loggedIn();
      await page.emulateMedia({ colorScheme });
      for (const width of [1200, 390, 360]) {
        await page.setViewportSize({ width, height: 800 });
        for (const [view, seen] of [
          ["", "chat refuses its deliveries"],
          ["/sources", "Its deliveries are answered 503."],
          ["/events?outcome=held", "shop"],
        ] as const) {
          await page.goto(`${address}${view}`);
          await page.getByText(seen).first().waitFor();
          expect([width, view, await accessibilityProblems(page)]).toEqual([width, view, []]);
          const overflow = await page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth);
          expect([width, view, overflow]).toEqual([width, view, 0]);
          if (SHOTS === undefined) continue;
          mkdirSync(SHOTS, { recursive: true });
          const name = `${view.replace(/\W/g, "") || "home"}-${colorScheme}-${width}`;
          await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
        }
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );
});
