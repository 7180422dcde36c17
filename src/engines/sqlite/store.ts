import type { FileStore } from "../store.ts";
import { belongsToDatabase } from "./beside.ts";
import { diskUse } from "./disk-space.ts";
import { lockDatabase } from "./lock.ts";
import { servedBy } from "./lock-text.ts";
import { openForReading, openStore, rehearseStart } from "./start.ts";

/** @param database the absolute path of its file */
export const sqliteStore = (database: string): FileStore => ({
  rehearse: (...plan) => rehearseStart(database, ...plan),
  lock: (options) => lockDatabase(database, options),
  servedBy: () => servedBy(database),
  open: (...plan) => openStore(database, ...plan),
  openForReading: () => openForReading(database),
  diskUse: () => diskUse(database),
  belongsTo: (path) => belongsToDatabase(path, database),
  copy: async (...copied) => (await import("./copy.ts")).copyDatabase(database, ...copied),
  examine: async () => (await import("./examine.ts")).examineDatabase(database),
  // Only the child of a check needs it.
  openTrial: async (options) => (await import("./trial.ts")).openTrial(database, options),
});
