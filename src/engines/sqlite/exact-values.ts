import { HookonceError } from "../../errors.ts";

/**
 * Checks the values that pass between a handler and SQLite. Values that bun:sqlite would silently change are
 * refused when written, and read exactly.
 */

/** The integers that SQLite can store. */
const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/**
 * Checks what a handler binds to a statement.
 *
 * @param values the arguments of `run`, `all`, `get` or `values`: one for each parameter, or one array or
 *   object with all of them
 * @param parameters the statement's parameters, as written, each once
 * @returns the values to pass on
 * @throws HookonceError `value_refused`, with the position or the name of the parameter
 */
export function checkValues<Value>(values: readonly Value[], parameters: readonly string[]): Value[] {
  const [first] = values;
  if (values.length === 1 && isNamed(first, parameters)) return [checkNamed(first, parameters) as Value];
  const list = values.length === 1 && Array.isArray(first) ? (first as Value[]) : values;
  // Without values, bun:sqlite reuses the values that were bound last, and they belong to another event.
  if (list.length === 0 && parameters.length > 0) {
    const count = parameters.length === 1 ? "a parameter" : `${parameters.length} parameters`;
    throw refused(`The statement has ${count} and was given no value. Pass a value for each.`);
  }
  list.forEach((value, index) => checkValue(value, `Parameter ${index + 1}`));
  return [...list];
}

function isNamed(value: unknown, parameters: readonly string[]): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || isBytes(value)) return false;
  return parameters.some((name) => !name.startsWith("?"));
}

/** Returns a copy, so that the bound values are the checked ones. */
function checkNamed(
  values: Readonly<Record<string, unknown>>,
  parameters: readonly string[],
): Record<string, unknown> {
  const checked: Record<string, unknown> = {};
  for (const parameter of parameters) {
    const name = [parameter.slice(1), parameter].find((one) => Object.hasOwn(values, one));
    // SQLite's own error names a parameter that is missing.
    if (name === undefined) continue;
    checkValue((checked[name] = values[name]), `Parameter ${parameter}`);
  }
  return checked;
}

/** @param which names the parameter at the beginning of the message */
function checkValue(value: unknown, which: string): void {
  switch (typeof value) {
    case "string":
      if (value.isWellFormed()) return;
      throw refused(
        `${which} is text with half of a surrogate pair, which SQLite would store as another character. Use value.toWellFormed() if it may be replaced.`,
      );
    case "number":
      if (Number.isFinite(value)) return;
      throw refused(
        Number.isNaN(value)
          ? `${which} is NaN, which SQLite would store as NULL. Pass null to store NULL.`
          : `${which} is ${value}, which neither JSON nor SQL text can hold. Pass a finite number, or null to store NULL.`,
      );
    case "bigint":
      if (value >= MIN && value <= MAX) return;
      throw refused(
        `${which} is ${short(String(value))}, and SQLite's integers have 64 bits: from ${MIN} to ${MAX}. Pass String(value) to store it as text.`,
      );
    case "boolean":
      return;
    case "undefined":
      throw refused(`${which} is undefined. Pass null to store NULL.`);
    case "object":
      if (value === null) return;
      if (isBytes(value)) {
        if (isReadable(value)) return;
        throw refused(
          `${which} is bytes that are gone: their buffer was transferred (structuredClone or postMessage with transfer) or made smaller. Copy them before that, with value.slice().`,
        );
      }
      throw refused(
        value instanceof Date
          ? `${which} is a Date. Pass value.getTime() or value.toISOString().`
          : `${which} is ${Array.isArray(value) ? "an array" : "an object"}. Pass JSON.stringify(value) to store it as JSON.`,
      );
    case "function":
    case "symbol":
      throw refused(`${which} is a ${typeof value}, which SQLite cannot store.`);
  }
}

function isBytes(value: object): value is ArrayBufferView | ArrayBuffer | SharedArrayBuffer {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

/**
 * Whether the bytes are still there. SQLite would store bytes that are not as an empty blob, and their length is
 * 0, as that of an empty array. Only these methods tell the two apart.
 */
function isReadable(bytes: ArrayBufferView | ArrayBuffer | SharedArrayBuffer): boolean {
  if (!ArrayBuffer.isView(bytes)) return bytes instanceof SharedArrayBuffer || !bytes.detached;
  try {
    if (bytes instanceof DataView) return bytes.byteLength >= 0;
    Uint8Array.prototype.keys.call(bytes);
    return true;
  } catch {
    return false;
  }
}

function short(digits: string): string {
  return digits.length <= 40 ? digits : `${digits.slice(0, 40)}…`;
}

function refused(message: string): HookonceError {
  return new HookonceError("value_refused", message);
}

/**
 * Rows of a statement that reads integers as BigInts (`safeIntegers`). Those that a number holds exactly
 * become numbers, in place.
 */
export function withNumbers<Rows extends readonly unknown[]>(rows: Rows): Rows {
  for (const row of rows as readonly Row[]) {
    // Five times as fast for an array as the loop over names.
    if (Array.isArray(row)) for (let index = 0; index < row.length; index++) narrow(row, index);
    else for (const column in row) narrow(row, column);
  }
  return rows;
}

type Row = Record<string | number, unknown>;

function narrow(row: Row, column: string | number): void {
  const value = row[column];
  if (typeof value === "bigint") row[column] = asNumber(value);
}

/** The number, if it holds the integer exactly. */
export function asNumber(integer: number | bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
