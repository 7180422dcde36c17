import { sqliteStore } from "../engines/sqlite/store.ts";
import type { Store } from "../engines/store.ts";

/** The engine that hookonce runs on. No other file chooses one. */
export const store: Store = sqliteStore;
