import type { Store } from "../store.ts";
import { belongsToDatabase } from "./beside.ts";
import { diskUse } from "./disk-space.ts";
import { lockDatabase } from "./lock.ts";
import { servedBy } from "./lock-text.ts";
import { handlerModules } from "./sqlite-engine.ts";
import { openForReading, openStore, rehearseStart } from "./start.ts";

export const sqliteStore: Store = {
  handlerModules,
  rehearse: rehearseStart,
  lock: lockDatabase,
  servedBy,
  open: openStore,
  openForReading,
  diskUse,
  belongsTo: belongsToDatabase,
  copy: async (...copied) => (await import("./copy.ts")).copyDatabase(...copied),
  examine: async (database) => (await import("./examine.ts")).examineDatabase(database),
  // Only the child of a check needs it.
  openTrial: async (options) => (await import("./trial.ts")).openTrial(options),
};
