import { CONFIG_FILE, type ReadConfig } from "../config/load.ts";
import { tableOf } from "../config/schema.ts";
import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { compileBatch } from "../providers/body/batch.ts";
import { headerOf, parameterOf, parseValuePath } from "../providers/body/path.ts";
import { compileSelector } from "../providers/body/selector.ts";
import { compilePlace } from "../providers/handshake.ts";
import { checkRedactPath } from "../providers/redact.ts";

/**
 * Returns the paths that cannot be read, by source, each with its line. Reads the sources as they are
 * written, so that another mistake in a source does not hide them.
 */
export function pathProblems({ written, lineOf }: ReadConfig): Map<string, Problem[]> {
  return new Map(
    written.map(([name, source]) => {
      const problems = pathsIn(source).flatMap(([keys, check]): Problem[] => {
        const message = problemOf(check);
        if (message === undefined) return [];
        const field = ["sources", name, ...keys].join(".");
        return [{ file: CONFIG_FILE, line: lineOf(name, ...keys), message: `${field}: ${message}` }];
      });
      return [name, problems];
    }),
  );
}

type Checked = readonly [keys: readonly string[], check: () => void];

function pathsIn(source: Readonly<Record<string, unknown>>): Checked[] {
  const { event_id: eventId, type, batch, secret_in: secretIn } = source;
  const { timestamp, id } = tableOf(source["signature"]);
  return [
    ...partsOf(eventId).map((part): Checked => [["event_id"], () => compileSelector(part, "absent")]),
    ...partsOf(type).map((part): Checked => [["type"], () => compileSelector(part, "skip")]),
    ...[source["newest_wins"]]
      .flat()
      .flatMap((rule) =>
        (["key", "version"] as const).flatMap((key) =>
          partsOf(tableOf(rule)[key]).map((part): Checked => [
            ["newest_wins", key],
            () => compileSelector(part, "absent"),
          ]),
        ),
      ),
    ...textsOf(source["redact"]).map((path): Checked => [["redact"], () => checkRedactPath(path)]),
    ...textsOf(batch).map((path): Checked => [["batch"], () => compileBatch([path])]),
    ...textsOf(secretIn)
      .filter((path) => path !== "basic")
      .map((path): Checked => [
        ["secret_in"],
        () => parameterOf(path) ?? parseValuePath(path, "header:name, query:name, body:$.path or basic"),
      ]),
    ...handshakePathsIn(source["handshake"]).map((path): Checked => [
      ["handshake"],
      () => void compilePlace(path),
    ]),
    ...textsOf(timestamp).map((path): Checked => [["signature", "timestamp"], () => parseValuePath(path)]),
    ...textsOf(id).map((path): Checked => [["signature", "id"], () => headerOf(path)]),
  ];
}

function handshakePathsIn(handshake: unknown): string[] {
  return [handshake].flat().flatMap((one) => {
    const { when, token, echo } = tableOf(one);
    return Object.keys(tableOf(when)).concat(textsOf([token, echo]));
  });
}

/** The paths in a selector. The config's schema reports everything else that is wrong with it. */
function partsOf(selector: unknown): string[] {
  if (typeof selector === "string") return [selector];
  if (Array.isArray(selector)) return selector.flatMap(partsOf);
  const { join, of } = tableOf(selector);
  return textsOf([join, of].flat());
}

function textsOf(value: unknown): string[] {
  return [value].flat().filter((one) => typeof one === "string");
}

function problemOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof HookonceError) return messageOf(error);
    throw error;
  }
}
