import type { Store } from "../store.ts";
import { lockDatabase } from "./lock.ts";
import { handlerModules } from "./sqlite-engine.ts";
import { openForReading, openStore, rehearseStart } from "./start.ts";

export const sqliteStore: Store = {
  handlerModules,
  rehearse: rehearseStart,
  lock: lockDatabase,
  open: openStore,
  openForReading,
};
