import type { ReservedSQL } from "bun";

/** A value that is bound. Arrays are written by {@link textArray} and its like. */
export type Value = string | number | bigint | boolean | Uint8Array | null;

/** What the server has answered. */
export interface Sent {
  /** Each row as an array, in the order of the columns. */
  readonly rows: readonly (readonly unknown[])[];
  /** The command tag without its count, as in `COMMIT`. */
  readonly command: string;
  readonly count: number;
}

/**
 * One connection. Statements run in the order in which they are sent. The next one may be sent before the last one is
 * answered: 10 µs a statement in place of 40.
 */
export interface Wire {
  /**
   * Sends a statement by the extended protocol, which refuses a second statement in the same text.
   *
   * @throws PostgresError the SQLSTATE is in its `errno`
   */
  send(text: string, values?: readonly Value[]): Promise<Sent>;
  /** Closes the connection at once. What is not answered yet rejects. */
  drop(): Promise<void>;
}

/** How many texts without values are kept as templates. Handlers may build any number of them. */
const MAX_TEMPLATES = 500;

export function wireOf(connection: ReservedSQL): Wire {
  const templates = new Map<string, TemplateStringsArray>();

  function templateOf(text: string): TemplateStringsArray {
    let made = templates.get(text);
    if (made === undefined) {
      const parts = [text];
      Object.defineProperty(parts, "raw", { value: [text], enumerable: false });
      made = Object.freeze(parts) as unknown as TemplateStringsArray;
      if (templates.size >= MAX_TEMPLATES) templates.clear();
      templates.set(text, made);
    }
    return made;
  }

  return {
    async send(text, values = []) {
      // `unsafe` without values is the simple protocol, which runs several statements.
      const query = values.length === 0 ? connection(templateOf(text)) : connection.unsafe(text, [...values]);
      const rows = (await query.values().execute()) as unknown as Sent["rows"] &
        Pick<Sent, "command" | "count">;
      return { rows, command: rows.command, count: rows.count };
    },
    drop: () => connection.close({ timeout: 0 }),
  };
}
