import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { accessibilityProblems, noBrowser, startBrowser, type TestBrowser } from "./support/browser.ts";
import { run } from "../cli/support/hookonce.ts";
import { countIn, fillShop, latePayment, openShop, refund, type Shop } from "./support/shop.ts";

/** The page in a real browser, from login to apply. */

const SCREENSHOTS = [
  ["home", "/"],
  ["event", "/events?open=stripe%2Fevt_1QyX11Kd"],
] as const;

const dialogOf = (page: Page) => page.getByRole("dialog");

/** A handler that reads this path. */
const sql = (path: string): string =>
  `update payments set cents = 7 where id = 'pi_3QyX1';\ninsert into payments values (:event_id, :payload ->> '${path}', 1);`;

async function loaded(page: Page): Promise<void> {
  await page.locator("main .loading").first().waitFor({ state: "detached" });
}

describeUnless(noBrowser ?? onlyInFullRun(), "the page in chromium", () => {
  let browser: TestBrowser;
  let shop: Shop;
  beforeAll(async () => {
    [browser, shop] = await Promise.all([startBrowser(), openShop()]);
    await fillShop(shop);
  }, 120_000);
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await shop?.[Symbol.asyncDispose]();
  }, 30_000);

  async function loggedIn(): Promise<Awaited<ReturnType<TestBrowser["open"]>>> {
    const opened = await browser.open();
    const { page } = opened;
    await page.goto(shop.page);
    await page.getByLabel("Token").fill(shop.token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("navigation").waitFor();
    return opened;
  }

  test("a wrong token is refused, and shows nothing of the inbox", async () => {
    const { page, wrong } = await browser.open();
    await page.goto(`${shop.page}/events`);
    await page.getByLabel("Token").fill("a-token-of-nobody-else");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").filter({ hasText: "✗" }).waitFor();
    expect(await page.textContent("body")).not.toContain("evt_");
    expect(wrong).toEqual([]);
  }, 60_000);

  test("from login to apply: a failure is found, run again when its cause is gone, and seen done", async () => {
    const { page, wrong } = await loggedIn();
    await page.getByRole("link", { name: /^Failures/ }).click();
    await page.getByText("The payment of this refund has not arrived yet").first().waitFor();
    await page.getByRole("button", { name: "Show the latest" }).first().click();
    await page.getByRole("button", { name: "Try the latest" }).first().click();
    const tried = page.getByRole("region", { name: "Try" });
    await tried.getByText(/charge\.refunded\.ts:7: The payment of this refund/).waitFor();
    expect(await countIn(shop, "refunds")).toBe(0);
    for (let n = 1; n <= 3; n++) await shop.stripe(latePayment(n));
    await page.getByRole("button", { name: "Apply all" }).click();
    await dialogOf(page).getByText("3 events would run.").waitFor();
    await dialogOf(page).getByText("Tried 3 events and rolled back:").waitFor();
    await dialogOf(page).getByText("refunds 3 inserted").waitFor();
    expect(await countIn(shop, "refunds")).toBe(0);
    await dialogOf(page).getByRole("button", { name: "Apply", exact: true }).click();
    await dialogOf(page).getByText("3 processed").waitFor();
    await dialogOf(page).getByRole("button", { name: "Close" }).click();
    await page.getByText("No handler fails").waitFor();
    expect(await countIn(shop, "refunds")).toBe(3);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("the live list shows where it is what became of an older event", async () => {
    const { page, wrong } = await loggedIn();
    await shop.stripe(refund(4));
    await page.goto(`${shop.page}/events?source=stripe`);
    await page.getByText("● Live").waitFor();
    const row = page.getByRole("row").filter({ hasText: "evt_refund4" });
    await row.getByText("failed").waitFor();
    // A newer event moves it down.
    await shop.stripe(latePayment(4));
    await page.getByRole("row").nth(1).filter({ hasText: "evt_late4" }).waitFor();
    const applied = await run(["apply", "evt_refund4", "--folder", shop.folder.path]);
    expect(applied.code).toBe(0);
    await row.getByText("processed").waitFor();
    expect(await page.getByRole("row").nth(2).textContent()).toContain("evt_refund4");
    expect(await row.count()).toBe(1);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("a discard asks why, and the audit list names who did it and why", async () => {
    const { page, wrong } = await loggedIn();
    await shop.stripe({
      id: "evt_refund9",
      type: "charge.refunded",
      object: { id: "re_9", payment_intent: "pi_never" },
    });
    await page.goto(`${shop.page}/events?open=${encodeURIComponent("stripe/evt_refund9")}`);
    await page.getByRole("button", { name: "Discard…" }).click();
    await dialogOf(page).getByText("1 event would be discarded.").waitFor();
    await dialogOf(page).getByLabel("Reason").fill("refunded by hand");
    await dialogOf(page).getByRole("button", { name: "Discard", exact: true }).click();
    await dialogOf(page).getByText("1 discarded").waitFor();
    await dialogOf(page).getByRole("button", { name: "Close" }).click();
    const audit = await fetch(`${shop.page}/api/audit`, {
      headers: { authorization: `Bearer ${shop.token}` },
    });
    const { items } = (await audit.json()) as { items: Record<string, unknown>[] };
    expect(items[0]).toMatchObject({ actor: "me", action: "discard", reason: "refunded by hand" });
    // To apply it after all needs a reason, too.
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await dialogOf(page).getByText("1 event would run.").waitFor();
    expect(
      await dialogOf(page).getByLabel("Reason", { exact: true }).getAttribute("required"),
    ).not.toBeNull();
    await dialogOf(page).getByRole("button", { name: "Cancel" }).click();
    await page.goto(`${shop.page}/sources`);
    const row = page.locator("#audit").getByRole("row").filter({ hasText: "refunded by hand" });
    await row.waitFor();
    expect(await row.getByRole("cell").allTextContents()).toEqual([
      expect.stringMatching(/:\d\d/),
      "me",
      "discard evt_refund9 source:stripe",
      "1",
      "refunded by hand",
    ]);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("an event is saved as a fixture, without what its reader masks", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${shop.page}/events?open=${encodeURIComponent("stripe/evt_1QyX1Kd")}`);
    await page.getByRole("button", { name: "Save as fixture…" }).click();
    const mask = dialogOf(page).getByLabel("Values to mask, one path on each line");
    expect(await mask.inputValue()).toBe("");
    await mask.fill("body:$.data.object.custommer");
    await dialogOf(page).getByRole("button", { name: "Save" }).click();
    await dialogOf(page).getByText("finds nothing in this payload").waitFor();
    await mask.fill("body:$.data.object.customer");
    expect(await accessibilityProblems(page)).toEqual([]);
    await dialogOf(page).getByRole("button", { name: "Save" }).click();
    const file = "handlers/stripe/fixtures/payment_intent.succeeded.json";
    await dialogOf(page).getByText(`Saved as ${file}.`).waitFor();
    const saved = await Bun.file(join(shop.folder.path, file)).json();
    expect(saved.data.object).toMatchObject({ id: "pi_3QyX1", customer: "masked" });
    await dialogOf(page).getByRole("button", { name: "Close" }).click();
    // The refused request is an error in the console.
    expect(wrong.filter((line) => !line.includes("400"))).toEqual([]);
  }, 60_000);

  test("Try shows what the handler that is on the disk does, and changes nothing", async () => {
    const { page, wrong } = await loggedIn();
    const id = "7b1f1a00-8c0e-11ef-9d5b-2f1c0f6e0001:push";
    const before = await countIn(shop, "payments");
    await page.goto(`${shop.page}/events?open=${encodeURIComponent(`github/${id}`)}`);
    const report = page.getByRole("region", { name: "Try" });
    await report.getByRole("button", { name: "Try" }).click();
    await report.getByText('There is no handler for the type "push" in handlers/github/.').waitFor();
    shop.folder.write({ "handlers/github/push.sql": sql("$.repository.fullname") });
    await report.getByRole("button", { name: "Try" }).click();
    await report.getByText("handlers/github/push.sql:2: NOT NULL constraint failed").waitFor();
    await report.getByText("Did you mean $.repository.full_name?").waitFor();
    shop.folder.write({ "handlers/github/push.sql": sql("$.repository.full_name") });
    await report.getByRole("button", { name: "Try" }).click();
    await report.getByText("payments: 1 inserted, 1 updated, 0 deleted").waitFor();
    await report.getByText("acme/shop").waitFor();
    await report.getByText("2000 → 7").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    expect(await countIn(shop, "payments")).toBe(before);
    rmSync(join(shop.folder.path, "handlers/github/push.sql"));
    // The refused request is an error in the console.
    expect(wrong.filter((line) => !line.includes("404"))).toEqual([]);
  }, 60_000);

  test("all that match are replayed, and the job is seen and stopped on another page", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${shop.page}/events?type=payment_intent.succeeded&outcome=processed`);
    await page.getByRole("row").nth(1).getByRole("checkbox").check();
    await page.getByRole("button", { name: "Replay all that match…" }).click();
    await dialogOf(page)
      .getByText(/^\d+ events would run\./)
      .waitFor();
    await dialogOf(page).getByRole("button", { name: "Cancel" }).click();
    // It is slow enough to be seen. Its payments exist already, so its runs fail and change nothing.
    const filter = { type: "payment_intent.succeeded" };
    await fetch(`${shop.page}/api/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${shop.token}`, "content-type": "application/json" },
      body: JSON.stringify({ action: "replay", filter, rate: 1, reason: "a test" }),
    });
    await page.getByRole("link", { name: "Sources", exact: true }).click();
    const job = page.getByRole("region", { name: "Jobs" }).getByRole("listitem").first();
    await job.getByText("○ running").waitFor();
    await job.getByRole("button", { name: "Stop replay type:payment_intent.succeeded" }).click();
    await job.getByText("= stopped").waitFor();
    expect(await job.getByRole("button").count()).toBe(0);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("a payload with markup, scripts and control characters is text, and does nothing", async () => {
    const { page, wrong } = await loggedIn();
    const hostile = [
      "<img src=x onerror=alert(1)>",
      "</script><script>alert(2)</script>",
      "javascript:alert(3)",
      "\u001b[31mred\u0007\u202Egnp.exe",
      "\0\u007f\u009b\u2066\u200b\ufeff\u2028\u2029\u00ad\u{e0041}end",
    ];
    await shop.stripeBody(
      JSON.stringify({
        id: "evt_<img src=x onerror=alert(4)>",
        type: "<script>alert(5)</script>",
        data: { object: Object.fromEntries(hostile.map((text, n) => [`<b>${n}</b>`, text])) },
        long: "x".repeat(200_000),
      }),
    );
    const deep = `{"id":"evt_deep","type":"deep","data":${"[".repeat(899)}${"]".repeat(899)}}`;
    expect(await shop.stripeBody(deep)).toBe(200);
    await page.getByRole("link", { name: "Events", exact: true }).click();
    await page.getByRole("button", { name: /evt_<img/ }).click();
    const drawer = page.getByRole("complementary");
    await drawer.getByText("<img src=x onerror=alert(1)>").first().waitFor();
    for (const tab of ["Payload", "Raw"]) {
      await drawer.getByRole("tab", { name: tab }).click();
      await drawer.getByText("\\u2028\\u2029\\u00ad\\u{e0041}end").first().waitFor();
      expect(
        await drawer.evaluate(({ textContent }) => /(?![\n\t])[\p{C}\p{Zl}\p{Zp}]/u.test(textContent)),
      ).toBe(false);
    }
    await page.getByRole("button", { name: "Close the event" }).click();
    await page.getByRole("button", { name: "evt_deep", exact: true }).click();
    await drawer.getByRole("heading", { name: "evt_deep" }).waitFor();
    expect(await page.locator("#page img, #page script, #page b").count()).toBe(0);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("the list can be used with the keyboard alone", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${shop.page}/events`);
    await page.getByRole("row").nth(2).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("complementary").getByRole("heading").first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("complementary").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.keyboard.type("outcome:unhandled");
    await page.keyboard.press("Enter");
    await page.waitForURL(/outcome=unhandled/);
    expect(wrong).toEqual([]);
  }, 60_000);

  test.each(["light", "dark"] as const)(
    "axe finds nothing on any page, in the %s colours",
    async (colorScheme) => {
      const { page, wrong } = await loggedIn();
      await page.emulateMedia({ colorScheme });
      for (const path of ["/", "/events", "/failures", "/sources", "/events?open=stripe%2Fevt_1QyX11Kd"]) {
        await page.goto(`${shop.page}${path}`);
        await page.getByRole("navigation").waitFor();
        await page.waitForLoadState("load");
        await loaded(page);
        expect([path, await accessibilityProblems(page)]).toEqual([path, []]);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  /** `HOOKONCE_TEST_ALL=1 HOOKONCE_SCREENSHOTS=1` writes them into screenshots/. The README shows them. */
  test("the README's screenshots take less than 300 kB", async () => {
    const { page } = await loggedIn();
    await page.setViewportSize({ width: 1200, height: 720 });
    let bytes = 0;
    for (const [name, path] of SCREENSHOTS) {
      await page.goto(`${shop.page}${path}`);
      await page.getByRole("navigation").waitFor();
      await loaded(page);
      await page.waitForLoadState("networkidle").catch(() => {});
      const image = await page.screenshot({ type: "jpeg", quality: 80 });
      bytes += image.length;
      if (process.env["HOOKONCE_SCREENSHOTS"] === "1")
        await Bun.write(join(import.meta.dir, `screenshots/${name}.jpg`), image);
    }
    expect(bytes).toBeLessThan(300_000);
  }, 60_000);

  test("nothing is wider than a phone", async () => {
    const { page } = await loggedIn();
    await page.setViewportSize({ width: 360, height: 740 });
    for (const path of ["/", "/events", "/failures", "/sources"]) {
      await page.goto(`${shop.page}${path}`);
      await page.getByRole("navigation").waitFor();
      await loaded(page);
      const overflow = await page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth);
      expect([path, overflow]).toEqual([path, 0]);
    }
  }, 60_000);

  test("a revoked token ends the session at its next request", async () => {
    const { page } = await loggedIn();
    const headers = { authorization: `Bearer ${shop.token}`, "content-type": "application/json" };
    const answer = await fetch(`${shop.page}/api/tokens`, {
      method: "POST",
      headers,
      body: JSON.stringify({ name: "guest", scopes: ["read"] }),
    });
    const { token } = (await answer.json()) as { token: string };
    const guest = await browser.open();
    await guest.page.goto(shop.page);
    await guest.page.getByLabel("Token").fill(token);
    await guest.page.getByRole("button", { name: "Log in" }).click();
    await guest.page.getByRole("navigation").waitFor();
    await fetch(`${shop.page}/api/tokens/guest`, { method: "DELETE", headers });
    await guest.page.getByLabel("Token").waitFor();
    expect(await page.getByRole("navigation").count()).toBeGreaterThan(0);
  }, 60_000);
});
