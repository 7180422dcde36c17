import { HookonceError, type ErrorCode } from "../errors.ts";
import type { Migration } from "./store.ts";

/** hookonce's own tables and the user's are migrated in the same way. Each set has its own journal table. */
export interface MigrationRules {
  readonly migrations: readonly Migration[];
  /** The error if the database has a migration that is not in the set. */
  readonly whenUnknown: { code: ErrorCode; message: (name: string) => string };
  /** The message if an applied migration has another text now. */
  readonly whenEdited: (migration: Migration) => string;
}

/** @param otherwise what helps if the version that made the database cannot be run any more */
export function ownRules(migrations: readonly Migration[], otherwise = ""): MigrationRules {
  return {
    migrations,
    whenUnknown: {
      code: "database_newer",
      message: (name) =>
        `The database was made by a newer hookonce (it has ${name}). Run that version${otherwise}.`,
    },
    whenEdited: ({ name }) =>
      `The database was made by another build of hookonce (its ${name} is different). Run that build${otherwise}.`,
  };
}

export function userRules(migrations: readonly Migration[]): MigrationRules {
  return {
    migrations,
    whenUnknown: {
      code: "migration_missing",
      message: (name) =>
        `migrations/${name} was applied to this database, but the file is missing. Restore it unchanged.`,
    },
    whenEdited: (migration) =>
      `${fileOf(migration)} was changed after it was applied. Restore it and write the change as a new migration.`,
  };
}

/** How a set of migrations relates to a database. */
export interface History {
  /** The migrations that are still to be applied. */
  readonly pending: readonly Migration[];
  /**
   * Why the database cannot be migrated further: `migration_edited`, `migration_out_of_order`, or the set's
   * code for a migration it does not know.
   */
  readonly refusals: readonly HookonceError[];
}

/** @param applied the rows of the journal, by name: each with the SHA-256 of its text, in hex */
export function historyOf(
  applied: ReadonlyMap<string, string>,
  { migrations, whenUnknown, whenEdited }: MigrationRules,
): History {
  const known = new Set(migrations.map(({ name }) => name));
  const last = [...applied.keys()].at(-1) ?? "";
  const unknown = [...applied.keys()]
    .filter((name) => !known.has(name))
    .map((name) => new HookonceError(whenUnknown.code, whenUnknown.message(name)));
  const pending = migrations.filter(({ name }) => !applied.has(name));
  const edited = migrations
    .filter(({ name, sql }) => applied.has(name) && applied.get(name) !== sha256(sql))
    .map((migration) => new HookonceError("migration_edited", whenEdited(migration)));
  const late = pending
    .filter(({ name }) => name < last)
    .map(
      (migration) =>
        new HookonceError(
          "migration_out_of_order",
          `${fileOf(migration)} comes before ${last}, which is already applied. Rename it so that it sorts after that one.`,
        ),
    );
  return { pending, refusals: [...unknown, ...edited, ...late] };
}

/**
 * Returns the migrations of a set that are still to be applied.
 *
 * @throws HookonceError the first refusal of the {@link History}. If there are several, its problems list all
 * of them.
 */
export function pendingOf({ pending, refusals }: History): readonly Migration[] {
  const [first] = refusals;
  if (first === undefined) return pending;
  throw new HookonceError(first.code, first.message, {
    problems: refusals.length === 1 ? [] : refusals.map(({ message }) => ({ message })),
  });
}

export function fileOf({ file, name }: Migration): string {
  return file ?? name;
}

export function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
