import { jsonPath } from "../handlers/payload-paths.ts";
import type { Dialect } from "../templates/inbox-files.ts";

/** How the SQL of a starter handler reads a payload, on each engine. */

export type PayloadPath = readonly (string | number)[];

/** The text of the value at a path of the payload. */
export const payloadValue: Readonly<Record<Dialect, (path: PayloadPath) => string>> = {
  sqlite: (path) => `:payload ->> '${jsonPath(path)}'`,
  postgres(path) {
    const [step = "", ...rest] = path;
    if (rest.length > 0) return `:payload #>> '{${path.map(element).join(",")}}'`;
    return typeof step === "number" ? `:payload ->> ${step}` : `:payload ->> '${quoted(step)}'`;
  },
};

const quoted = (text: string): string => text.replaceAll("'", "''");

/** https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function element(step: string | number): string {
  const text = String(step);
  if (/^\w+$/.test(text) && !/^null$/i.test(text)) return text;
  return quoted(`"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`);
}

/**
 * SQL of hookonce's own, which is written for SQLite, in the dialect of an engine. PostgreSQL does not take text for a
 * number, so a number of the payload is cast.
 */
export function inDialect(sql: string, dialect: Dialect, payload: unknown): string {
  if (dialect === "sqlite") return sql;
  return sql.replaceAll(/:payload ->> '(\$[^']*)'/g, (_, written: string) => {
    const path = Array.from(
      written.matchAll(/\.(\w+)|\."([^"]+)"|\[(\d+)\]/g),
      ([, word, quotedWord, index]) => (index === undefined ? (word ?? quotedWord ?? "") : Number(index)),
    );
    const value = payloadValue.postgres(path);
    return Number.isInteger(valueAt(payload, path)) ? `(${value})::bigint` : value;
  });
}

function valueAt(payload: unknown, path: PayloadPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined),
    payload,
  );
}
