import { afterAll, beforeAll, expect, test } from "bun:test";
import { run, scratch, serve, type Scratch, type Serving } from "../cli/support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import { accessibilityProblems, noBrowser, startBrowser, type TestBrowser } from "./support/browser.ts";

/** Destinations and messages on the page, with receivers that answer, refuse and are gone. */

const SOURCES = `version = 1

[sources.shop]
provider = "unsigned"
event_id = "body:$.id"
type = "body:$.type"
`;

/** An answer that must be shown as text. */
const HOSTILE = "<img src=x onerror=alert(1)>\u202Egnp";

interface Receivers extends Disposable {
  /** What the receiver at /gone answers. */
  status: number;
  readonly url: string;
  readonly got: string[];
}

function startReceivers(): Receivers {
  const got: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const { id } = (await request.json()) as { id: string };
      got.push(`${pathname} ${id}`);
      if (pathname === "/gone" && receivers.status !== 200)
        return new Response(HOSTILE, { status: receivers.status });
      return new Response("thanks");
    },
  });
  const receivers: Receivers = {
    status: 410,
    url: `http://127.0.0.1:${server.port}`,
    got,
    [Symbol.dispose]: () => void server.stop(true),
  };
  return receivers;
}

interface Opened {
  readonly folder: Scratch;
  readonly serving: Serving;
  readonly page: string;
  readonly token: string;
}

async function openInbox(config: string): Promise<Opened> {
  const folder = scratch({ "hookonce.toml": config });
  const serving = await serve(folder.path);
  const page = String((await serving.logged("listening"))["page"]);
  const scopes = ["--scopes", "read,steer", "--folder", folder.path];
  const made = await run(["token", "create", "--name", "me", ...scopes]);
  if (made.code !== 0) throw new Error(`no token: ${made.stderr}`);
  return { folder, serving, page, token: made.stdout.trim() };
}

describeUnless(noBrowser ?? onlyInFullRun(), "destinations in chromium", () => {
  let browser: TestBrowser;
  let receivers: Receivers;
  let inbox: Opened;
  beforeAll(async () => {
    receivers = startReceivers();
    [browser, inbox] = await Promise.all([
      startBrowser(),
      openInbox(`${SOURCES}forward = ["app", { to = "old-app", types = ["order.*"] }]

[destinations.app]
url = "${receivers.url}/app?key=hunter2"
sign = "none"

[destinations.old-app]
url = "${receivers.url}/gone"
sign = "none"
`),
    ]);
    for (const id of ["evt_1", "evt_2"]) await inbox.serving.post("/webhook/shop", { id, type: "ping" });
    await inbox.serving.post("/webhook/shop", { id: "evt_order", type: "order.paid" });
  }, 120_000);
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await inbox?.serving[Symbol.asyncDispose]();
    inbox?.folder[Symbol.dispose]();
    receivers?.[Symbol.dispose]();
  }, 30_000);

  async function loggedIn({ page: address, token }: Opened = inbox) {
    const opened = await browser.open();
    await opened.page.goto(address);
    await opened.page.getByLabel("Token").fill(token);
    await opened.page.getByRole("button", { name: "Log in" }).click();
    await opened.page.getByRole("navigation").waitFor();
    return opened;
  }

  test.each(["light", "dark"] as const)(
    "axe finds nothing in the %s colours, and nothing is wider than a phone",
    async (colorScheme) => {
      const { page, wrong } = await loggedIn();
      await page.emulateMedia({ colorScheme });
      for (const width of [1200, 390, 360]) {
        await page.setViewportSize({ width, height: 800 });
        await page.goto(`${inbox.page}/destinations`);
        const message = page.locator(".messages > li").first();
        await message.getByRole("button", { expanded: false }).click();
        await message.getByText("Copy id").waitFor();
        expect([width, await accessibilityProblems(page)]).toEqual([width, []]);
        const overflow = await page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth);
        expect([width, overflow]).toEqual([width, 0]);
        await page.goto(inbox.page);
        await page.getByRole("list", { name: "Problems" }).waitFor();
        expect([width, await accessibilityProblems(page)]).toEqual([width, []]);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  test("from Home's cards to a message that has arrived, with one button each", async () => {
    const { page, wrong } = await loggedIn();
    const card = page.getByRole("list", { name: "Problems" }).getByRole("listitem");
    await card.filter({ hasText: "1 message to old-app has not arrived" }).waitFor();
    await card.filter({ hasText: "old-app is paused" }).waitFor();
    receivers.status = 200;
    await card.getByRole("button", { name: "Resume" }).click();
    await card.filter({ hasText: "old-app is paused" }).waitFor({ state: "detached" });
    await card.getByRole("button", { name: "Send 1 again" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("1 message would be sent again.").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    expect(receivers.got.filter((one) => one.startsWith("/gone"))).toEqual(["/gone evt_order"]);
    await dialog.getByRole("button", { name: "Send again", exact: true }).click();
    await dialog.getByText("1 sent again").waitFor();
    await dialog.getByRole("link", { name: "Show the messages" }).click();
    const message = page.locator(".messages > li").first();
    await message.getByText("delivered").waitFor();
    expect(receivers.got.filter((one) => one.startsWith("/gone"))).toEqual([
      "/gone evt_order",
      "/gone evt_order",
    ]);
    await message.getByRole("button", { expanded: false }).click();
    await message.getByText("Attempt 2").waitFor();
    // What a stranger has answered is text.
    await message.getByText("<img src=x onerror=alert(1)>\\u202egnp").waitFor();
    expect(await page.locator("#page img").count()).toBe(0);
    expect(wrong).toEqual([]);
  }, 60_000);

  test("a destination is paused, its message is discarded with a reason, and it goes on", async () => {
    const { page, wrong } = await loggedIn();
    await page.getByRole("link", { name: "Destinations", exact: true }).click();
    const app = page
      .locator(".groups > li")
      .filter({ has: page.getByRole("link", { name: "app", exact: true }) });
    expect(await app.textContent()).not.toContain("hunter2");
    await app.getByRole("button", { name: "Pause" }).click();
    await app.getByText("○ paused").waitFor();
    await inbox.serving.post("/webhook/shop", { id: "evt_3", type: "ping" });
    await page
      .getByRole("group", { name: "States of messages" })
      .getByRole("link", { name: "Waiting" })
      .click();
    const message = page.locator(".messages > li").first();
    await message.getByText("waiting").waitFor();
    await message.getByRole("button", { expanded: false }).click();
    await message.getByText("It has not been sent.").waitFor();
    await message.getByRole("button", { name: "Discard…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("1 message would be discarded.").waitFor();
    await dialog.getByLabel("Reason").fill("sent by hand");
    await dialog.getByRole("button", { name: "Discard", exact: true }).click();
    await dialog.getByText("1 discarded").waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByText("No message matches.").waitFor();
    await app.getByRole("button", { name: "Resume" }).click();
    await app.getByText("✓ open").waitFor();
    expect(receivers.got).not.toContain("/app evt_3");
    expect(wrong).toEqual([]);
  }, 60_000);

  test("an event shows its messages, and a message is found by its id", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${inbox.page}/events?open=${encodeURIComponent("shop/evt_1")}`);
    const sent = page.getByRole("region", { name: "Messages" });
    await sent.getByText("delivered").waitFor();
    await sent.getByText(/200, \d+ ms/).waitFor();
    await sent.getByText("What was answered").click();
    await sent.getByText("thanks").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await sent.getByRole("link", { name: "to app" }).click();
    await page.getByText("for the event").waitFor();
    const id = String(await page.locator(".message-id code").textContent());
    expect(id).toMatch(/^msg_[a-z2-7]{52}$/);
    await page.goto(`${inbox.page}/events?search=${id}`);
    await page.getByRole("link", { name: "Find a message with this id" }).click();
    await page.getByRole("link", { name: "Show all messages" }).click();
    await page.getByLabel("Message id").fill(` ${id} `);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "evt_1", exact: true }).waitFor();
    await page.getByLabel("Message id").fill("msg_nothing");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByText('There is no message "msg_nothing".').waitFor();
    // The refused request is an error in the console.
    expect(wrong.filter((line) => !line.includes("404"))).toEqual([]);
  }, 60_000);

  test("an event is sent to a destination that it was not sent to", async () => {
    const { page, wrong } = await loggedIn();
    await page.goto(`${inbox.page}/events?open=${encodeURIComponent("shop/evt_2")}`);
    const drawer = page.getByRole("complementary");
    await drawer.getByRole("button", { name: "Send to app…" }).waitFor();
    receivers.status = 200;
    try {
      await drawer.getByRole("button", { name: "Send to old-app…" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("1 event would be sent to old-app.").waitFor();
      await dialog.getByText("Its handler does not run.").waitFor();
      expect(receivers.got).not.toContain("/gone evt_2");
      await dialog.getByRole("button", { name: "Send", exact: true }).click();
      await dialog.getByText("1 sent").waitFor();
      await dialog.getByRole("button", { name: "Close" }).click();
      const resumed = await run(["resume", "old-app", "--folder", inbox.folder.path]);
      expect(resumed.code).toBe(0);
      while (!receivers.got.includes("/gone evt_2")) await Bun.sleep(20);
    } finally {
      receivers.status = 410;
    }
    expect(wrong).toEqual([]);
  }, 60_000);

  test("without a destination the page says how to make one", async () => {
    const empty = await openInbox(SOURCES);
    try {
      const { page, wrong } = await loggedIn(empty);
      await page.getByRole("link", { name: "Destinations", exact: true }).click();
      await page.getByText("hookonce add github push --run ./deploy.sh").waitFor();
      await page.getByText("[destinations.app]").waitFor();
      expect(await accessibilityProblems(page)).toEqual([]);
      expect(wrong).toEqual([]);
    } finally {
      await empty.serving[Symbol.asyncDispose]();
      empty.folder[Symbol.dispose]();
    }
  }, 60_000);
});
