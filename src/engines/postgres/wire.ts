import type { ReservedSQL } from "bun";

/** A value that is bound. `arrayOf` (sql.ts) writes an array. */
export type Value = string | number | bigint | boolean | Uint8Array | null;

/** What the server has answered. */
export interface Sent<Row = readonly unknown[]> {
  /** Each row as an array, in the order of the columns. */
  readonly rows: readonly Row[];
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
  /**
   * The same for a statement of hookonce itself. Its rows have the names of the columns, and their int8 are numbers.
   *
   * @throws PostgresError
   */
  read<Row extends object>(text: string, values?: readonly Value[]): Promise<Row[]>;
  /** Runs several statements by the simple protocol. Only for a text of hookonce itself. */
  script(text: string): Promise<void>;
  /** As `send`, with rows as objects. Of columns with the same name, only the last is there. */
  objects(text: string, values?: readonly Value[]): Promise<Sent<Readonly<Record<string, unknown>>>>;
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

  // `unsafe` without values is the simple protocol, which runs several statements.
  const query = (text: string, values: readonly Value[]) =>
    values.length === 0 ? connection(templateOf(text)) : connection.unsafe(text, [...values]);

  return {
    async send(text, values = []) {
      return sentOf(await query(text, values).values().execute());
    },
    async objects(text, values = []) {
      return sentOf(await query(text, values).execute());
    },
    async read<Row extends object>(text: string, values: readonly Value[] = []) {
      const rows = (await query(text, values).execute()) as Record<string, unknown>[];
      // Bun's rows and their list are of classes of its own, which do not equal plain ones.
      return Array.from(rows, (row) => {
        const plain = { ...row };
        for (const name in plain) if (typeof plain[name] === "bigint") plain[name] = Number(plain[name]);
        return plain as Row;
      });
    },
    async script(text) {
      await connection.unsafe(text).execute();
    },
    drop: () => connection.close({ timeout: 0 }),
  };
}

function sentOf<Row>(rows: unknown): Sent<Row> {
  const { command, count } = rows as Pick<Sent, "command" | "count">;
  return { rows: rows as readonly Row[], command, count };
}
