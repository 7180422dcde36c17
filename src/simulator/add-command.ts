import { CONFIG_FILE } from "../config/load.ts";
import { literal } from "../config/literal.ts";
import { readToml, TomlError } from "../config/toml.ts";
import { rawSources, tableOf } from "../config/schema.ts";
import { HookonceError } from "../errors.ts";

/** What `hookonce add --run` was asked to run. */
export interface RunOptions {
  /** The file, then its arguments. */
  readonly command: readonly string[];
  /** Types, or prefixes and `*`. If empty, the command runs for every event. */
  readonly types: readonly string[];
}

/** What must be written so that a source's events run a command. */
export interface CommandPlan {
  readonly destination: string;
  /** The table of the destination; empty if it exists. */
  readonly table: string;
  /** `forward` of the source, with the new element. */
  readonly forward: readonly unknown[];
  /** Whether the source already has it. */
  readonly isForwarded: boolean;
}

/**
 * @param config as it is written
 * @param source the name of the source, which may be new
 */
export function planCommand(config: unknown, source: string, { command, types }: RunOptions): CommandPlan {
  const destinations = tableOf(tableOf(config)["destinations"]);
  const sources = new Map(rawSources(config));
  const same = Object.entries(destinations).find(([, one]) =>
    Bun.deepEquals(tableOf(one)["command"], command),
  );
  const taken = [...Object.keys(destinations), ...sources.keys(), source];
  const destination = same?.[0] ?? freeName(nameOf(command), taken);
  const table = same === undefined ? `\n[destinations.${destination}]\ncommand = ${literal(command)}\n` : "";
  const written = tableOf(sources.get(source))["forward"];
  const present: readonly unknown[] = Array.isArray(written) ? written : [];
  const element = types.length === 0 ? destination : { to: destination, types };
  const own = present.filter((one) => asTable(one)["to"] === destination);
  const isForwarded = own
    .map(asTable)
    .some((one) => one["where"] === undefined && covers(one["types"], types));
  // For every event: the elements for some of them would be refused beside it.
  const others = types.length === 0 ? present.filter((one) => !own.includes(one)) : present;
  return { destination, table, forward: isForwarded ? present : [...others, element], isForwarded };
}

/** An element of `forward`. */
function asTable(element: unknown): Readonly<Record<string, unknown>> {
  return typeof element === "string" ? { to: element } : tableOf(element);
}

/** @param written undefined for all types */
function covers(written: unknown, types: readonly string[]): boolean {
  if (written === undefined) return true;
  return types.length > 0 && Array.isArray(written) && types.every((type) => written.includes(type));
}

/** From the name of the program: `deploy` for `./scripts/deploy.sh`. */
function nameOf([program = ""]: readonly string[]): string {
  const base = program.replace(/^.*[/\\]/, "").replace(/(?<=.)\.\w+$/, "");
  const name = base.toLowerCase().replaceAll(/[^a-z0-9_-]+/g, "-");
  return name.slice(0, 60).replaceAll(/^[-_]+|[-_]+$/g, "") || "command";
}

function freeName(name: string, taken: readonly string[]): string {
  for (let number = 1; ; number++) {
    const free = number === 1 ? name : `${name}-${number}`;
    if (!taken.includes(free)) return free;
  }
}

/**
 * The new text of hookonce.toml.
 *
 * @throws HookonceError `config_invalid` with what to write, if it has to be changed by hand
 */
export function newConfig(
  { text, existed }: { readonly text: string; readonly existed: boolean },
  table: string,
  name: string,
  plan: CommandPlan | undefined,
): string {
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  if (!existed) {
    const added = `${separator}\n${table}${plan?.table ?? ""}`;
    if (valueOf(text + added) !== undefined) return text + added;
    const what = `This source cannot be appended to the end of ${CONFIG_FILE}. Add it yourself:`;
    throw invalid(`${what}\n\n${table}${plan?.table ?? ""}`);
  }
  if (plan === undefined) return text;
  const changed = plan.isForwarded ? text : withForward(text, name, plan.forward);
  const added = plan.table === "" ? "" : separator + plan.table;
  if (changed !== undefined && valueOf(changed + added) !== undefined) return changed + added;
  throw invalid(
    `${CONFIG_FILE} is written in a way that hookonce does not change. Write this into the source "${name}":\n\nforward = ${literal(plan.forward)}\n${plan.table === "" ? "" : `\nAnd at the end of the file:\n${plan.table}`}`,
  );
}

/** Undefined if it is not TOML. */
function valueOf(text: string): unknown {
  try {
    return readToml(text).value;
  } catch (error) {
    if (error instanceof TomlError) return undefined;
    throw error;
  }
}

function invalid(message: string): HookonceError {
  return new HookonceError("config_invalid", message);
}

/**
 * Sets `forward` of a source in the text of hookonce.toml, and changes no other line.
 *
 * @returns undefined if this source is written in a way that only a person should change
 */
function withForward(text: string, source: string, forward: readonly unknown[]): string | undefined {
  const document = readToml(text);
  const before = new Map(rawSources(document.value)).get(source);
  const key = Object.hasOwn(tableOf(before), "forward") ? "forward" : "provider";
  const at = (document.lineOf(["sources", source, key]) ?? 1) - 1;
  const lines = text.split("\n");
  const written = `forward = ${literal(forward)}`;
  const {
    indent,
    comment = "",
    end = "",
  } = /^(?<indent>\s*)[\w-]+\s*=.*?(?<comment>\s+#[^"'\]]*?)?(?<end>\r?)$/.exec(lines[at] ?? "")?.groups ??
  {};
  if (indent === undefined) return undefined;
  if (key === "forward") lines[at] = `${indent}${written}${comment}${end}`;
  else lines.splice(at + 1, 0, `${indent}${written}${end}`);
  const changed = lines.join("\n");
  const sources = {
    ...tableOf(tableOf(document.value)["sources"]),
    [source]: { ...tableOf(before), forward },
  };
  const wanted = { ...tableOf(document.value), sources };
  return Bun.deepEquals(valueOf(changed), wanted) ? changed : undefined;
}
