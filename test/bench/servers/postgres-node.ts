// A node of hookonce without HTTP: the queue and the engine, with as many deliveries under way as fit two batches.
import { openStore } from "../../../src/engines/postgres/open.ts";
import { policy } from "../../../src/inbox/decide.ts";
import { createQueue } from "../../../src/inbox/queue.ts";
import { deliver, sourceWith } from "../../conformance/jobs.ts";
import { bodyOf, HANDLER, measure, MIGRATION, orderOf } from "../postgres-load.ts";

const CLIENTS = 128;

const order = orderOf();
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const plan = {
  convertToWal: false,
  rules: [],
  acceptIdChange: false,
  migrations: [{ name: "0001.sql", sql: MIGRATION }],
  now: Date.now(),
};
const onFatal = (error: unknown): void => {
  throw error;
};
const store = await openStore(order.target, plan, quiet);
const engine = store.engine({
  policy,
  redactionOf: () => undefined,
  onFatal,
  onLateError() {},
  onSyncInCommit() {},
});
const handler = await engine.loadHandler({
  language: "sql",
  file: "handlers/shop/paid.sql",
  hash: "1",
  text: HANDLER,
});
if (!("hash" in handler)) throw new Error(JSON.stringify(handler));
const source = sourceWith();
const queue = createQueue(engine, {
  loaded: () => ({
    sources: new Map([[source.name, source]]),
    handlers: { for: () => handler, files: [] },
  }),
  onFatal,
});
await measure(order, CLIENTS, async (id) => {
  const { event } = deliver(id, { type: "paid", source, body: bodyOf(id) });
  const { outcome } = await queue.deliver(event);
  if (outcome !== "processed") throw new Error(`${id} is ${outcome}`);
});
await queue.drain();
await engine.close();
