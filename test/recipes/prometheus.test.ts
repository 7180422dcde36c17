import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hookonce, inboxFiles, scratch, serve } from "../cli/support/hookonce.ts";
import { describeUnless, needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { readExposition, type Series } from "../support/exposition.ts";
import { block } from "../support/readme.ts";
import { stripeSignature } from "../support/stripe.ts";
import { testInbox, type TestInbox } from "../support/test-inbox.ts";

const HOUR = 3_600_000;
const SECRET = "whsec_prometheus";

/** Runs promtool in a folder with the files of the README. @returns what it says, if it fails */
async function promtool(files: Record<string, string>, ...args: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "hookonce-promtool-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const run = Bun.spawn(["promtool", ...args], { cwd: folder, stdout: "pipe", stderr: "pipe" });
    const [out, error] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
    ]);
    return (await run.exited) === 0 ? "" : `${out}\n${error}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const rules = (): string => block("yaml", "HookonceHandlerFails");

/** Promtool's clock begins at 0, and the rules are evaluated after ten minutes. */
const EVALUATED_S = 600;

interface Situation {
  readonly series: readonly Series[];
  /** When they were read, in Unix milliseconds. */
  readonly at: number;
}

/** The series that promtool reads: as hookonce has written them, and unchanged for ten minutes. */
function inputOf({ series, at }: Situation): object[] {
  const seconds = at / 1000;
  return series.map(({ name, labels, value }) => {
    const text = Object.entries(labels).map(([label, one]) => `${label}=${JSON.stringify(one)}`);
    const shown = name.endsWith("_timestamp_seconds") ? value - seconds + EVALUATED_S : value;
    return { series: `${name}{${text.join(",")}}`, values: `${shown}x${EVALUATED_S / 60 + 5}` };
  });
}

interface Fired {
  readonly alert: string;
  readonly labels: Record<string, string>;
  readonly summary: string;
}

const ALERTS = ["HookonceHandlerFails", "HookonceSourceSilent", "HookonceMessageWaits", "HookonceDiskFull"];

/** Checks that the rules fire exactly these alerts. */
async function expectAlerts(situation: Situation, fired: readonly Fired[]): Promise<void> {
  const test = {
    interval: "1m",
    input_series: inputOf(situation),
    alert_rule_test: ALERTS.map((alertname) => ({
      eval_time: `${EVALUATED_S / 60}m`,
      alertname,
      exp_alerts: fired
        .filter(({ alert }) => alert === alertname)
        .map(({ labels, summary }) => ({ exp_labels: labels, exp_annotations: { summary } })),
    })),
  };
  const files = {
    "rules.yml": rules(),
    // JSON is YAML.
    "test.yml": JSON.stringify({ rule_files: ["rules.yml"], tests: [test] }),
  };
  expect(await promtool(files, "test", "rules", "test.yml")).toBe("");
}

describeUnless(needsCommand("promtool"), "the recipe for Prometheus", () => {
  test("has a config and rules that Prometheus accepts", async () => {
    const files = { "prometheus.yml": block("yaml", "job_name: hookonce"), "hookonce.rules.yml": rules() };
    expect(await promtool(files, "check", "config", "--syntax-only", "prometheus.yml")).toBe("");
    expect(await promtool(files, "check", "rules", "hookonce.rules.yml")).toBe("");
    for (const alert of ALERTS) expect(rules()).toContain(`alert: ${alert}\n`);
  });

  test("has rules that real metrics fire, and none that a healthy inbox fires", async () => {
    let now = Date.now();
    await using inbox = await testInbox({
      clock: () => now,
      config: `[sources.stripe]
provider = "stripe"
secret = "env:SECRET"
forward = ["app"]
[destinations.app]
command = ["/bin/true"]`,
      environment: { SECRET },
      files: { "handlers/stripe/broken.sql": "select json_extract('no JSON', '$');" },
    });
    const deliver = async (id: string, type: string): Promise<string> => {
      const body = JSON.stringify({ id, type, data: { object: {} } });
      const headers = { "stripe-signature": stripeSignature(SECRET, body, Math.trunc(now / 1000)) };
      return ((await inbox.deliver(body, { source: "stripe", headers })).body as { status: string }).status;
    };

    expect(await deliver("evt_1", "fine")).toBe("processed");
    await expectAlerts(await situationOf(inbox, now), []);

    expect(await deliver("evt_2", "broken")).toBe("failed");
    now += 25 * HOUR;
    await expectAlerts(await situationOf(inbox, now, 500 * 1024 ** 2), [
      {
        alert: "HookonceHandlerFails",
        labels: { source: "stripe", outcome: "failed" },
        summary: "1 events of stripe have failed. See: hookonce failures",
      },
      {
        alert: "HookonceSourceSilent",
        labels: { source: "stripe" },
        summary: "No delivery of stripe for a day.",
      },
      {
        alert: "HookonceMessageWaits",
        labels: { destination: "app" },
        summary: "A message to app has waited for 1d 1h 0m 0s.",
      },
      { alert: "HookonceDiskFull", labels: {}, summary: "Only 500MiB are free on the disk of the database." },
    ]);
  }, 30_000);
});

testUnless(
  onlyInFullRun() ?? needsCommand("install"),
  "the recipe for Prometheus makes a token that nobody else can read, and a second run keeps it",
  async () => {
    using folder = scratch({ ...inboxFiles, "etc/.keep": "" });
    await using _ = await serve(folder.path);
    const file = join(folder.path, "etc/hookonce-token");
    writeFileSync(join(folder.path, "hookonce"), `#!/bin/sh\nexec ${hookonce.join(" ")} "$@"\n`);
    chmodSync(join(folder.path, "hookonce"), 0o755);
    const user = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
    const recipe = block("sh", "token create --name prometheus")
      .replaceAll("/etc/prometheus/", `${folder.path}/etc/`)
      .replaceAll("/srv/inbox", folder.path)
      .replaceAll("-o prometheus", `-o ${user}`);
    const runRecipe = (): number =>
      Bun.spawnSync(["sh", "-c", `umask 0; ${recipe}`], {
        env: { HOME: process.env["HOME"], PATH: `${folder.path}:${process.env["PATH"]}` },
      }).exitCode;
    expect(runRecipe()).toBe(0);
    const token = readFileSync(file, "utf8");
    expect([token, statSync(file).mode & 0o777]).toEqual([expect.stringMatching(/^[\w-]{43}$/), 0o600]);
    expect(runRecipe()).toBe(1);
    expect(readFileSync(file, "utf8")).toBe(token);
  },
  60_000,
);

/** @param free bytes on the disk, in place of those of this machine's */
async function situationOf(inbox: TestInbox, at: number, free = 1024 ** 4): Promise<Situation> {
  const series = readExposition(await (await inbox.api("/metrics")).text());
  expect(series.some(({ name }) => name === "hookonce_disk_free_bytes")).toBe(true);
  const disk: Series = { name: "hookonce_disk_free_bytes", labels: {}, value: free };
  return { at, series: series.map((one) => (one.name === disk.name ? disk : one)) };
}
