import type { DatabaseLocation } from "./location.ts";
import type { ReadTarget } from "./postgres.ts";

/** What is wrong with how a database is named, before any secret is looked up, and which secrets it names. */
export function readLocation(location: DatabaseLocation): Pick<ReadTarget, "problems" | "references"> {
  if (location.kind === "file") return { problems: [], references: [] };
  // An inbox on SQLite does not load it. `require` is synchronous.
  const { readTarget }: typeof import("./postgres.ts") = require("./postgres.ts");
  return readTarget(location, null);
}
