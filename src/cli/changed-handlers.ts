import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Admin } from "../app/apply.ts";
import type { StatusJson } from "../http/admin/shapes.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { complain } from "./terminal.ts";

/** How many files the warning names. */
const SHOWN = 3;

/** A running `serve` keeps the handlers that it loaded. Warns if a file was written after its start. */
export async function warnOfChangedHandlers({ client, ofServe }: Admin, folder: string): Promise<void> {
  if (!ofServe) return;
  const { serving } = await answerOf<StatusJson>(await client.api.status.$get());
  if (serving === null) return;
  const changed = handlersIn(folder).filter(
    (file) => (statSync(join(folder, file), { throwIfNoEntry: false })?.mtimeMs ?? 0) > serving.loaded_at,
  );
  if (changed.length === 0) return;
  const more = changed.length > SHOWN ? ` and ${changed.length - SHOWN} more` : "";
  const [was, versions] = changed.length === 1 ? ["was", "version"] : ["were", "versions"];
  complain(
    `warning: ${changed.slice(0, SHOWN).map(visible).join(", ")}${more} ${was} changed after hookonce serve had loaded it. The ${versions} that serve loaded will run. To run the new code, run hookonce reload and apply again.`,
  );
}

function handlersIn(folder: string): string[] {
  try {
    return readdirSync(join(folder, "handlers"), { recursive: true, encoding: "utf8" })
      .filter((file) => /\.(?:sql|ts)$/.test(file) && !file.endsWith(".test.ts"))
      .map((file) => `handlers/${file.replaceAll("\\", "/")}`)
      .sort();
  } catch {
    return [];
  }
}
