/**
 * Versions of events: whole numbers of any length, compared digit for digit, or times, compared as instants.
 * Never compared as text: "9" is older than "10", and a time may be written with another offset.
 */
export interface Version {
  readonly kind: "number" | "time";
  /** The number, or the whole seconds since 1970. */
  readonly value: bigint;
  /** The digits after the decimal point of a time's seconds; empty for a number. */
  readonly fraction: string;
}

const NUMBER = /^-?\d+$/;
/** ISO 8601, and the same with a space. Without an offset, it is UTC. */
const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d)))?)?$/i;

/** @returns undefined if the text is neither a whole number nor a time */
export function parseVersion(text: string): Version | undefined {
  if (NUMBER.test(text)) return { kind: "number", value: BigInt(text), fraction: "" };
  const [whole, year, month, day, hour = 0, minute = 0, second = 0, fraction = "", sign, ...offset] =
    TIME.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  // JavaScript takes the 30th of February for the 2nd of March.
  if (date.getUTCMonth() !== Number(month) - 1) return undefined;
  const [offsetHours = 0, offsetMinutes = 0] = offset.map((part) => Number(part ?? 0));
  // The 60th second is a leap second.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const minutes =
    Number(hour) * 60 + Number(minute) - (offsetHours * 60 + offsetMinutes) * (sign === "-" ? -1 : 1);
  const seconds = date.getTime() / 1000 + minutes * 60 + Number(second);
  return { kind: "time", value: BigInt(seconds), fraction: fraction.replace(/0+$/, "") };
}

/**
 * @returns a negative number if the first one is older, 0 if they are the same; undefined if one is a number and the
 *   other a time
 */
export function compareVersions(one: Version, other: Version): number | undefined {
  if (one.kind !== other.kind) return undefined;
  if (one.value !== other.value) return one.value < other.value ? -1 : 1;
  // Fractions of a second: 0.12 is later than 0.119. Both have only digits.
  if (one.fraction === other.fraction) return 0;
  return one.fraction < other.fraction ? -1 : 1;
}
