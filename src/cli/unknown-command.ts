import { nearest } from "../config/nearest.ts";
import { commands } from "./commands.ts";

/** Names that other tools use, and the command that does the same here. */
const SYNONYMS: Readonly<Record<string, string>> = {
  start: "serve",
  run: "serve",
  logs: "events --follow",
  tail: "events --follow",
  ls: "events",
  list: "events",
  retry: "apply",
  doctor: "verify",
  hold: "pause",
  forward: "listen",
  pull: "listen",
};

/** Planned commands, and what to use until they exist. Empty if nothing can replace the command. */
const PLANNED: Readonly<Record<string, string>> = {
  forget: "",
  try: "use hookonce check, or deliver an event with hookonce send",
  backup: `run sqlite3 DATABASE "vacuum into 'backup.db'"`,
};

/** What to print for a word that is not a command. */
export function unknownCommand(word: string): string {
  const names = commands.map(({ name }) => name);
  const meant = Object.hasOwn(SYNONYMS, word) ? (SYNONYMS[word] as string) : word;
  const [name = ""] = meant.split(" ");
  const help = "For all commands: hookonce --help";
  if (!names.includes(name) && Object.hasOwn(PLANNED, name)) {
    const until = PLANNED[name] === "" ? "" : ` Until then ${PLANNED[name]}.`;
    const which =
      meant === word
        ? `the command '${word}' is not in this version yet.`
        : `unknown command '${word}'. It will be hookonce ${meant}, which is not in this version yet.`;
    return `error: ${which}${until}\n${help}`;
  }
  const suggestion = meant === word ? nearest(word, names, "") : `did you mean ${meant}?`;
  const hint = suggestion === "" ? "" : `\n(${suggestion.charAt(0).toUpperCase()}${suggestion.slice(1)})`;
  return `error: unknown command '${word}'${hint}\n${help}`;
}
