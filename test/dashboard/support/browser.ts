import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

/** Debian's chromium. Nothing is downloaded. */
const CHROMIUM = "/usr/bin/chromium";

/** Why the tests in a browser cannot run here; undefined if they can. */
export const noBrowser = existsSync(CHROMIUM) ? undefined : `${CHROMIUM} is missing`;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--force-color-profile=srgb",
  "--remote-debugging-port=0",
];

export interface TestBrowser extends AsyncDisposable {
  open(options?: BrowserContextOptions): Promise<TestPage>;
}

export interface TestPage {
  readonly page: Page;
  /** What the page did that it must not: violations of its policy, errors, and dialogs. */
  readonly wrong: readonly string[];
}

/** Starts chromium with its own empty profile. */
export async function startBrowser(): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), "hookonce-chromium-"));
  const child = Bun.spawn([CHROMIUM, ...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  let browser: Browser;
  try {
    browser = await chromium.connectOverCDP(await debuggingUrl(child.stderr));
  } catch (error) {
    await end();
    throw error;
  }
  return {
    async open(options = {}) {
      const context = await browser.newContext(options);
      const wrong: string[] = [];
      await context.exposeBinding("reportViolation", (_source, text: string) => void wrong.push(text));
      await context.addInitScript(() => {
        addEventListener("securitypolicyviolation", (event) => {
          const { violatedDirective, blockedURI, sourceFile } = event as unknown as Record<string, string>;
          (globalThis as unknown as { reportViolation: (text: string) => void }).reportViolation(
            `${violatedDirective} ${blockedURI} ${sourceFile}`,
          );
        });
      });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      page.on("pageerror", (error) => wrong.push(`error: ${error.stack ?? error.message}`));
      page.on("dialog", (dialog) => {
        wrong.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("console", (message) => {
        // A refused request is an answer of the API, and the page shows it.
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
          wrong.push(`console: ${message.text()}`);
      });
      return { page, wrong };
    },
    async [Symbol.asyncDispose]() {
      await browser.close().catch(() => {});
      await end();
    },
  };
}

async function debuggingUrl(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stderr) {
    text += decoder.decode(chunk, { stream: true });
    const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`chromium ended: ${text}`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What a screen reader cannot use, or an eye cannot read, by WCAG 2.2 AA. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run: (options: unknown) => Promise<{
          violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[];
        }>;
      };
    };
    const { violations } = await axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ""}`),
    );
  });
  return found;
}
