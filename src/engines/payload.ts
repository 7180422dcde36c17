import { hasLongNumber, parseReplacing } from "../providers/body/exact-numbers.ts";

/**
 * The most digits of a BigInt, and the most zeros that an exponent adds to it. A longer number stays Infinity,
 * which no handler can store. BigInt takes more than linear time, 30 ms for 100,000 digits, and a number such as
 * `1e400` takes 35 times its own bytes.
 */
const MAX_DIGITS = 1000;
const MAX_ZEROS = 400;

/** How many numbers are made only once, however often they occur. */
const MAX_REMEMBERED = 100_000;

/** In characters. Two numbers of up to 15 digits are one JavaScript number only if they are equal. */
const MAX_SHORT = 15;

/**
 * The payload as a TypeScript handler gets it. An integer that a JavaScript number cannot hold exactly,
 * outside ±9007199254740991, is a BigInt, also if it is written with a fraction of zeros or an exponent. Every
 * other number is a number.
 *
 * @param json verified JSON text. With large numbers in it, this takes two to three times as long as JSON.parse
 */
export function parsePayload(json: string): unknown {
  // A match inside a string costs time but changes nothing.
  if (!hasLongNumber(json) && !/\d[eE][+\d]/.test(json)) return JSON.parse(json);
  const made = new Map<number | string, bigint>();
  return parseReplacing(json, (number, start, end) => {
    if (Math.abs(number) <= Number.MAX_SAFE_INTEGER) return undefined;
    // The shortest spellings are remembered, because a body has room for most of them.
    const isShort = end - start <= MAX_SHORT;
    if (isShort && made.has(number)) return made.get(number);
    const text = json.slice(start, end);
    const key = Number.isFinite(number) ? number : text;
    if (isShort && made.has(key)) return made.get(key);
    const integer = Number(text) === number ? integerOf(text) : undefined;
    if (isShort && integer !== undefined && made.size < MAX_REMEMBERED) made.set(key, integer);
    return integer;
  });
}

/** @returns undefined if the number is not an integer, or has too many digits */
function integerOf(text: string): bigint | undefined {
  if (text.length <= MAX_DIGITS && /^-?\d+$/.test(text)) return BigInt(text);
  const [mantissa = "", exponent = "0"] = text.split(/[eE]/);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const sign = whole.startsWith("-") ? "-" : "";
  const digits = `${whole}${fraction}`.replace(/^-?0*/, "");
  // How many of the digits are before the decimal point. If there are more, the exponent adds zeros.
  const length = digits.length - fraction.length + Number(exponent);
  if (length > MAX_DIGITS || length - digits.length > MAX_ZEROS) return undefined;
  if (/[1-9]/.test(digits.slice(length))) return undefined;
  const integer = BigInt(`${sign}${digits.slice(0, length)}`);
  return length > digits.length ? integer * powerOf10(length - digits.length) : integer;
}

const powers: bigint[] = [];

function powerOf10(exponent: number): bigint {
  return (powers[exponent] ??= 10n ** BigInt(exponent));
}

/**
 * Writes a value as JSON, and a BigInt as its digits, because an integer in a payload may be one.
 *
 * @returns undefined if it is no JSON value
 */
export function writeJson(value: unknown): string | undefined {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? rawJson(String(one)) : one));
}

/** TypeScript's library does not declare it yet. */
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;
