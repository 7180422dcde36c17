import type { Database } from "bun:sqlite";
import { AsyncLocalStorage } from "node:async_hooks";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CONFIG_FILE } from "../config/load.ts";
import { nearest } from "../config/nearest.ts";
import { createJsonLogger } from "../logging/log.ts";
import { visible } from "../logging/visible.ts";
import { readableLine } from "../logging/readable-line.ts";
import { atCaller, callerOf } from "./caller.ts";
import { readAnswer, type Answer, type DeliveryLine } from "./answer.ts";
import { requestFor, type DeliverOptions } from "./deliver.ts";
import { fetchKey, secretsOf, signingSource } from "./keys.ts";
import { createReceiver, openFolder, requestTo } from "./open-inbox.ts";
import { createTestDatabase, type TestDatabase } from "./test-database.ts";

export interface TestInboxOptions {
  /** The inbox folder. Default: the nearest one at or above the test file, else the working directory. */
  readonly folder?: string;
  /** Runs on the empty database before the migrations, to make the tables that an application owns. */
  readonly prepare?: (db: Database) => void;
}

/** What a test has of an inbox. Its types for users are in templates/types/test.d.ts. */
export interface TestInbox extends AsyncDisposable {
  readonly db: Database;
  get clock(): number;
  set clock(time: number | string | Date);
  deliver(source: string, payload: unknown, options?: DeliverOptions): Promise<Answer[]>;
}

/**
 * Opens an inbox with the config, the migrations and the handlers of an inbox folder, on a new database: in a temporary
 * folder, or on the server of its PostgreSQL. Its secrets are made up, and it uses no network.
 *
 * @throws HookonceError with every problem for which `serve` would refuse to start
 */
export function testInbox(options: TestInboxOptions = {}): Promise<TestInbox> {
  return atCaller(callerOf(testInbox), () => openTemporary(options));
}

async function openTemporary({ folder: given, prepare }: TestInboxOptions): Promise<TestInbox> {
  const folder = given === undefined ? nearestFolder(dirname(Bun.main)) : resolve(given);
  const database = await createTestDatabase(folder);
  try {
    if (prepare !== undefined) await database.prepare(prepare);
    return await open(folder, database);
  } catch (error) {
    await database.remove();
    throw error;
  }
}

function nearestFolder(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, CONFIG_FILE))) return folder;
    if (folder === dirname(folder)) return resolve(".");
  }
}

/** The log lines of the delivery that is being answered. */
const lines = new AsyncLocalStorage<DeliveryLine[]>();

async function open(folder: string, database: TestDatabase): Promise<TestInbox> {
  let time: number | undefined;
  const clock = (): number => time ?? Date.now();
  const log = createJsonLogger("info", createShow());
  const { services, config, sources, inbox } = await openFolder(
    folder,
    { environment: null, secretsOf, fetch: fetchKey, clock, database: database.location, forStart: true },
    {
      log,
      // Its tests see the failures of a handler that always fails.
      forCommand: true,
      onFatal: (error) => {
        throw error;
      },
    },
  );
  const receiver = createReceiver(inbox, { log, clock });
  const db = database.open();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    receiver.refuse();
    await services.stop();
    await database.remove();
  };

  const deliverAll: TestInbox["deliver"] = async (name, payload, options = {}) => {
    const source = sources.get(name);
    const configured = config.sources.find((one) => one.name === name);
    if (source === undefined || configured === undefined)
      throw new TypeError(`there is no source "${name}": ${nearest(name, [...sources.keys()])}`);
    const signing = signingSource(configured, config.sources);
    const request = requestFor({ source, ...signing }, payload, options, clock);
    const deliverOnce = async (): Promise<Answer> => {
      const { url, ...init } = await request();
      const read: DeliveryLine[] = [];
      const response = await lines.run(read, () =>
        requestTo(receiver, `/webhook/${name}${new URL(url).search}`, init),
      );
      return readAnswer(response, read);
    };
    const { times = 1, concurrently = false } = options;
    if (concurrently) return Promise.all(Array.from({ length: times }, deliverOnce));
    const answers: Answer[] = [];
    while (answers.length < times) answers.push(await deliverOnce());
    return answers;
  };

  return {
    db,
    get clock(): number {
      return clock();
    },
    set clock(to: number | string | Date) {
      const at = new Date(to).getTime();
      if (Number.isNaN(at))
        throw new TypeError(
          `box.clock: ${String(to)} is not a time. Set a Date, Unix milliseconds or ISO 8601`,
        );
      time = at;
    },
    deliver: function deliver(name, payload, options = {}) {
      return atCaller(callerOf(deliver), () => deliverAll(name, payload, options));
    },
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

function causeOf({ handler = "", at = handler, cause = "" }: DeliveryLine): string {
  // Some causes begin with the file.
  return cause.startsWith(at) ? cause : `${at}: failed: ${cause}`;
}

/**
 * Passes the line of a delivery on to its answer. What a handler writes to the console, warnings, and each cause
 * of a failure once are shown between the results of the tests.
 */
function createShow(): (line: string) => void {
  const causes = new Set<string>();
  return (text) => {
    const line = JSON.parse(text) as DeliveryLine;
    if (line.msg === "delivery") {
      lines.getStore()?.push(line);
      const cause = visible(causeOf(line));
      if (line.outcome === "failed" && !causes.has(cause)) console.error(cause);
      causes.add(cause);
    } else if (line.level !== "info") console.warn(readableLine(line));
    else if (line.handler !== undefined) console.log(`${line.handler}: ${line.msg}`);
  };
}
