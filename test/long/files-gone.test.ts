import { beforeAll, expect } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { checkRecovered, emptyReport } from "../crash/checks.ts";
import { makeInboxFolder, type InboxFolder } from "../crash/inbox-folder.ts";
import { needsLinux, onlyInLongRun, testUnless } from "../crash/requirements.ts";
import { compiledServe, ensureBinary, startServer, type Server } from "../crash/server.ts";
import { deliver, makeEvent, type SignedEvent } from "../crash/stripe-events.ts";

const reason = onlyInLongRun() ?? needsLinux();

const ROUNDS = 12;
const CLIENTS = 32;

interface Loss {
  readonly name: string;
  readonly lose: (inbox: InboxFolder) => void;
  /** What a person does before the next start. */
  readonly putBack?: (inbox: InboxFolder) => void | Promise<void>;
  /** Whether the next start must have every event that was answered. */
  readonly keepsAll: boolean;
}

/** The next start is refused until the files beside the lost database are deleted. */
async function beginEmpty(inbox: InboxFolder): Promise<void> {
  await using refused = startServer(compiledServe(inbox));
  expect(await stopped(refused)).toBe(1);
  expect(refused.output()).toContain("database_missing");
  for (const suffix of ["-wal", "-shm", ".marker", ".lock.txt"])
    rmSync(inbox.database + suffix, { force: true });
}

const losses: readonly Loss[] = [
  { name: "the log is deleted", lose: ({ database }) => rmSync(`${database}-wal`), keepsAll: true },
  {
    name: "the index of the log is deleted",
    lose: ({ database }) => rmSync(`${database}-shm`),
    keepsAll: true,
  },
  {
    name: "the database is moved, and moved back",
    lose: ({ database }) => renameSync(database, `${database}.away`),
    putBack: ({ database }) => renameSync(`${database}.away`, database),
    keepsAll: true,
  },
  {
    name: "the folder is moved, and moved back",
    lose: ({ data }) => {
      renameSync(data, `${data}.away`);
      mkdirSync(data);
    },
    putBack: ({ data }) => {
      rmSync(data, { recursive: true });
      renameSync(`${data}.away`, data);
    },
    keepsAll: true,
  },
  {
    name: "the database is deleted",
    lose: ({ database }) => rmSync(database),
    putBack: beginEmpty,
    keepsAll: false,
  },
  {
    name: "the database is replaced by an earlier copy",
    lose: ({ database }) => {
      copyFileSync(`${database}.backup`, `${database}.new`);
      renameSync(`${database}.new`, database);
    },
    keepsAll: false,
  },
  {
    name: "database, log and index are deleted",
    lose: ({ database }) => {
      for (const suffix of ["", "-wal", "-shm"]) rmSync(database + suffix);
    },
    putBack: beginEmpty,
    keepsAll: false,
  },
];

interface Load {
  readonly answered: Set<string>;
  /** Resolves once this many events have been answered, or when every client has lost its connection. */
  reaches(count: number): Promise<void>;
  /** Resolves when every client has lost its connection. */
  readonly ended: Promise<void>;
  /** From now on, no request may be answered 200. */
  close(): void;
  /** The answers of requests that were sent after that. */
  readonly late: number[];
}

/** Delivers new events, and old ones again, from many clients until the server is gone. */
function load(url: string, run: string): Load {
  const answered = new Set<string>();
  const sent: SignedEvent[] = [];
  const late: number[] = [];
  let closed = false;
  const client = async (): Promise<void> => {
    for (;;) {
      const old = Math.random() < 0.2 ? sent[Math.floor(Math.random() * sent.length)] : undefined;
      const event = old ?? makeEvent(run, sent.length);
      if (old === undefined) sent.push(event);
      const sentLate = closed;
      try {
        const { httpStatus } = await deliver(url, event, AbortSignal.timeout(10_000));
        if (httpStatus === 200) answered.add(event.id);
        if (sentLate) late.push(httpStatus);
      } catch {
        return;
      }
    }
  };
  const ended = Promise.all(Array.from({ length: CLIENTS }, client)).then(() => {});
  return {
    answered,
    async reaches(count) {
      while (answered.size < count && Bun.peek.status(ended) === "pending") await Bun.sleep(1);
    },
    ended,
    late,
    close() {
      closed = true;
    },
  };
}

async function stopped(server: Server): Promise<number | string> {
  return Promise.race([server.exited, Bun.sleep(10_000).then(() => "serves on")]);
}

beforeAll(async () => {
  if (reason === undefined) await ensureBinary();
}, 120_000);

for (const { name, lose, putBack, keepsAll } of losses) {
  testUnless(
    reason,
    `under load, nothing is answered 200 after ${name}, ${ROUNDS} times`,
    async () => {
      let answers = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await using inbox = await makeInboxFolder();
        {
          await using first = startServer(compiledServe(inbox));
          await first.listening;
          first.signal("SIGTERM");
          expect(await first.exited).toBe(0);
          copyFileSync(inbox.database, `${inbox.database}.backup`);
        }
        let clients: Load;
        {
          await using server = startServer(compiledServe(inbox));
          clients = load(await server.listening, `gone_${round}`);
          // Each loss comes at another moment, and always under load.
          const before = Math.ceil(100 + Math.random() * 1400);
          await clients.reaches(before);
          expect(clients.answered.size).toBeGreaterThanOrEqual(before);
          lose(inbox);
          clients.close();
          expect(await stopped(server)).toBe(1);
          await clients.ended;
          expect(server.output()).toContain('"code":"database_moved"');
        }
        expect(clients.late.filter((status) => status === 200)).toEqual([]);
        answers += clients.answered.size;

        await putBack?.(inbox);
        await using server = startServer(compiledServe(inbox));
        await server.listening;
        const report = emptyReport();
        checkRecovered(inbox, keepsAll ? clients.answered : new Set(), report);
        expect(report).toMatchObject({ lost: 0, doubled: 0, wrong: [] });
        expect(existsSync(inbox.database)).toBe(true);
      }
      console.log(`${name}: ${answers} events answered in ${ROUNDS} rounds`);
    },
    240_000,
  );
}
