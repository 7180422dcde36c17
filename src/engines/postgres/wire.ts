import type { ReservedSQL, SQL } from "bun";
import type { Silence } from "./silence.ts";

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
  /** Closes the connection at once. What is not answered yet rejects, and Bun asks the server to cancel it. */
  drop(): Promise<void>;
  /**
   * Never uses the connection again, and closes it once this is answered. It cancels nothing: if a COMMIT is cancelled
   * while it waits for its standby, everybody sees its rows, and the standby may not have them.
   */
  abandon(last: Promise<unknown>): void;
}

/** How many texts without values are kept as templates. Handlers may build any number of them. */
const MAX_TEMPLATES = 500;

/** @param silence hears of each statement and its answer */
export function wireOf(connection: ReservedSQL, silence?: Silence): Wire {
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

  const drop = (): Promise<void> => connection.close({ timeout: 0 });

  /** Sends a query at once: Bun's are lazy. */
  function ask<Result>(make: () => SQL.Query<unknown>, read: (rows: unknown) => Result): Promise<Result> {
    silence?.asked();
    const answer = Promise.try(() => make().execute()).then(
      (rows) => {
        silence?.answered();
        return read(rows);
      },
      (error: unknown) => {
        silence?.answered();
        throw error;
      },
    );
    // Statements are sent ahead. If an earlier one fails, nobody awaits those behind it, and an unhandled rejection
    // would end the process.
    answer.catch(() => {});
    return answer;
  }

  return {
    send: (text, values = []) => ask(() => query(text, values).values(), sentOf<readonly unknown[]>),
    objects: (text, values = []) => ask(() => query(text, values), sentOf<Readonly<Record<string, unknown>>>),
    read: <Row extends object>(text: string, values: readonly Value[] = []) =>
      ask(() => query(text, values), plainRows<Row>),
    script: (text) =>
      ask(
        () => connection.unsafe(text),
        () => {},
      ),
    drop,
    abandon: (last) => void last.then(drop, drop),
  };
}

/** Bun's rows and their list have special classes, and do not equal plain objects and arrays. */
function plainRows<Row>(rows: unknown): Row[] {
  return Array.from(rows as readonly Record<string, unknown>[], (row) => {
    const plain = { ...row };
    for (const name in plain) if (typeof plain[name] === "bigint") plain[name] = Number(plain[name]);
    return plain as Row;
  });
}

function sentOf<Row>(rows: unknown): Sent<Row> {
  const { command, count } = rows as Pick<Sent, "command" | "count">;
  return { rows: rows as readonly Row[], command, count };
}
