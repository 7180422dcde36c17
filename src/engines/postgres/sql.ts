import type { Value, Wire } from "./wire.ts";

/** A part of a statement, with the values that it binds. */
export interface Sql {
  readonly texts: readonly string[];
  readonly values: readonly Value[];
}

/**
 * Writes a statement of hookonce itself, or a part of one. What is put into it is bound as a value, or is another part.
 *
 * ```ts
 * const isOpen = sql`settled_at is null`;
 * await rowsOf(wire, sql`select id from hookonce.failures where ${isOpen} and source = ${source}`);
 * ```
 */
export function sql(texts: TemplateStringsArray, ...parts: readonly (Value | Sql)[]): Sql {
  const all: string[] = [texts[0] ?? ""];
  const values: Value[] = [];
  const append = (text: string): void => void all.push((all.pop() ?? "") + text);
  parts.forEach((part, index) => {
    if (isSql(part)) {
      append(part.texts[0] ?? "");
      all.push(...part.texts.slice(1));
      values.push(...part.values);
      append(texts[index + 1] ?? "");
    } else {
      values.push(part);
      all.push(texts[index + 1] ?? "");
    }
  });
  return { texts: all, values };
}

const isSql = (part: Value | Sql): part is Sql =>
  typeof part === "object" && part !== null && "texts" in part;

/** A text of hookonce itself that binds nothing. */
export const plain = (text: string): Sql => ({ texts: [text], values: [] });

/** All of these conditions. `undefined` is no condition. */
export function all(...conditions: readonly (Sql | undefined)[]): Sql {
  return conditions
    .filter((one) => one !== undefined)
    .reduce<Sql>((before, one) => sql`${before} and (${one})`, sql`true`);
}

export const textOf = ({ texts }: Sql): string =>
  texts.reduce((before, text, index) => `${before}$${index}${text}`);

export function rowsOf<Row extends object>(wire: Pick<Wire, "read">, statement: Sql): Promise<Row[]> {
  return wire.read<Row>(textOf(statement), statement.values.map(storable));
}

/** PostgreSQL's text holds neither NUL nor half of a surrogate pair. */
export function storable(value: Value): Value {
  if (typeof value !== "string") return value;
  const text = value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
  return text.isWellFormed() ? text : text.toWellFormed();
}

/** An array as PostgreSQL writes it. */
export const arrayOf = (items: readonly (string | number | null)[]): string =>
  `{${items.map(itemOf).join(",")}}`;

function itemOf(item: string | number | null): string {
  if (item === null) return "null";
  return typeof item === "number" ? String(item) : `"${item.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}
