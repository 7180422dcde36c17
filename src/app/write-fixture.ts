import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HookonceError, messageOf } from "../errors.ts";

/** How many fixtures of one type get a name. */
const MAX_OF_TYPE = 1000;

/**
 * Writes `handlers/<folder>/fixtures/<type>.json`, or `<type>-2.json` and so on if that exists.
 *
 * @param type as a sender names it: it may be any text
 * @returns the path relative to the inbox folder
 * @throws HookonceError `fixture_not_written`
 */
export function writeFixture(inboxFolder: string, folder: string, type: string, json: string): string {
  const under = `handlers/${folder}/fixtures`;
  const name = nameOf(type);
  try {
    mkdirSync(join(inboxFolder, under), { recursive: true });
    for (let number = 1; number <= MAX_OF_TYPE; number++) {
      const file = `${under}/${name}${number === 1 ? "" : `-${number}`}.json`;
      if (create(join(inboxFolder, file), json)) return file;
    }
  } catch (error) {
    const remedy = `Allow the user that runs hookonce serve to write to ${under}/, or copy the payload from the page`;
    throw new HookonceError(
      "fixture_not_written",
      `The fixture cannot be written: ${messageOf(error)}. ${remedy}.`,
      { cause: error },
    );
  }
  throw new HookonceError(
    "fixture_not_written",
    `There are ${MAX_OF_TYPE} fixtures of this type in ${under}/. Remove some.`,
  );
}

/** One part of a path, which does not begin with a dot. */
function nameOf(type: string): string {
  const name = type.replaceAll(/[^\w.-]/g, "_").replace(/^[.-]+/, "_");
  return name === "" ? "_any" : name.slice(0, 100);
}

/** @returns false if something has this name, symbolic links included */
function create(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
