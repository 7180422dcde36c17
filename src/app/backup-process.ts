import type { FileLocation } from "../config/location.ts";
import type { Examined } from "../engines/store.ts";
import type { Problem } from "../errors.ts";
import type { ChildOrder } from "./child-process.ts";

/** The hidden command of the child that opens an unpacked backup. */
export const START_BACKUP = "start-backup-and-stop";

export interface BackupOrder extends ChildOrder {
  readonly folder: string;
  /** The copy in the backup. */
  readonly database: FileLocation;
}

/** What a start needs besides the backup. */
export interface StartNeeds {
  /** As the config has them: `env:NAME`, `file:path`. */
  readonly secrets: readonly string[];
  /** Sources that are served only with `--dev`. */
  readonly unsigned: readonly string[];
  /** Whether the config has the database in another place than the backup. */
  readonly database: boolean;
}

export interface BackupStarted extends Examined {
  /** Why a start from it would be refused, although it has what it needs. */
  readonly startProblems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The user's migrations that the start has applied to the copy. */
  readonly pending: readonly string[];
  readonly sources: readonly string[];
  readonly needs: StartNeeds;
}

/** What opening it has found. */
export type Opened = Omit<BackupStarted, keyof Examined>;

export const NOT_OPENED: Opened = {
  startProblems: [],
  warnings: [],
  pending: [],
  sources: [],
  needs: { secrets: [], unsigned: [], database: false },
};
