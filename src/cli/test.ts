import { existsSync, statSync, watch } from "node:fs";
import { join, resolve } from "node:path";
import { CONFIG_FILE } from "../config/load.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { HookonceError } from "../errors.ts";
import { runTests, testFilesIn } from "../testing/run-tests.ts";
import { EXIT } from "./exit.ts";
import { complain, say } from "./terminal.ts";

export interface TestFlags {
  testNamePattern?: string;
  /** In milliseconds. */
  timeout?: number;
  bail?: boolean;
  watch?: boolean;
}

/**
 * `hookonce test`: exits with 1 if a test fails, or if there is none.
 *
 * @param first the inbox folder, if it is one, else a filter
 * @param named the inbox folder that --folder names, else the working directory
 */
export async function runTest(
  first: string | undefined,
  others: readonly string[],
  flags: TestFlags,
  named: string,
): Promise<number> {
  // In an inbox folder, "stripe" is a filter, also if there is a folder with this name.
  const isFolder =
    first !== undefined &&
    (isInbox(first) ||
      (!isInbox(named) && statSync(first, { throwIfNoEntry: false })?.isDirectory() === true));
  const folder = resolve(isFolder ? first : named);
  const filters = isFolder || first === undefined ? others : [first, ...others];
  if (!isInbox(folder))
    throw new HookonceError(
      "config_invalid",
      `${join(folder, CONFIG_FILE)} does not exist. Name the inbox folder, as in hookonce test FOLDER.`,
    );
  const run = (): Promise<number> => runOnce(folder, filters, flags);
  return flags.watch === true ? runAgain(folder, run) : run();
}

const isInbox = (folder: string): boolean => existsSync(join(folder, CONFIG_FILE));

/** How long a test may take that makes a database on a server. Bun's own limit is 5 s. */
const SERVER_TEST_MS = 30_000;

async function runOnce(folder: string, filters: readonly string[], flags: TestFlags): Promise<number> {
  const all = testFilesIn(folder);
  const files = all.filter((file) => filters.length === 0 || filters.some((text) => file.includes(text)));
  if (files.length === 0) {
    complain(
      all.length === 0
        ? `There is no *.test.ts below ${join(folder, "handlers")}. Write one beside a handler, as in handlers/stripe/invoice.paid.test.ts.`
        : `No test file has ${filters.map((text) => `"${text}"`).join(" or ")} in its path. The test files are: ${all.join(", ")}`,
    );
    return EXIT.failed;
  }
  const { testNamePattern: pattern, bail } = flags;
  const isOnServer = usableSettings(folder).database?.kind === "postgres";
  const limit = flags.timeout ?? (isOnServer ? SERVER_TEST_MS : undefined);
  const code = await runTests(folder, files, [
    ...(pattern === undefined ? [] : ["--test-name-pattern", pattern]),
    ...(limit === undefined ? [] : ["--timeout", String(limit)]),
    ...(bail === true ? ["--bail"] : []),
  ]);
  return code === 0 ? EXIT.done : EXIT.failed;
}

/** How long to wait for further changes, because an editor writes a file in several steps. In milliseconds. */
const SETTLE_MS = 100;

/**
 * Runs the tests again after each change. Bun's own --watch does not see the files that a test does not import,
 * such as SQL handlers. It ends with a signal.
 */
async function runAgain(folder: string, run: () => Promise<number>): Promise<number> {
  let changed = Promise.withResolvers<void>();
  const watcher = watch(folder, { recursive: true }, (_, file) => {
    if (file !== null && /^(?:handlers|migrations)[\\/]|^hookonce\.toml$/.test(file)) changed.resolve();
  });
  const ended = Promise.withResolvers<number>();
  process.once("SIGINT", () => ended.resolve(EXIT.done));
  process.once("SIGTERM", () => ended.resolve(EXIT.done));
  for (;;) {
    await run();
    say("Waiting for a change in handlers/, migrations/ or hookonce.toml. Ctrl+C stops.");
    const code = await Promise.race([changed.promise, ended.promise]);
    if (typeof code === "number") {
      watcher.close();
      return code;
    }
    await Bun.sleep(SETTLE_MS);
    changed = Promise.withResolvers<void>();
  }
}
