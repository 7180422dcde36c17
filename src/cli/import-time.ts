import { HookonceError } from "../errors.ts";

/** A date, or a date and a time as databases and spreadsheets write them. */
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?$/i;

const SECONDS = /^\d{1,11}(?:\.\d{1,9})?$/;
/** Seconds have so many digits only after the year 5138. */
const MILLISECONDS = /^\d{12,14}$/;

/** Webhooks are younger. A number below it is probably a spreadsheet's day. */
const EARLIEST = Date.UTC(2000, 0, 1);

/** Clocks differ, and a time may be in another zone than it says. */
const MAX_AHEAD_MS = 86_400_000;

/**
 * Reads when an event was received elsewhere. A time without a zone is UTC, as databases and exports write it.
 *
 * @returns Unix milliseconds
 * @throws HookonceError `invalid_request`
 */
export function timeOf(text: string, now: number): number {
  const at = SECONDS.test(text)
    ? Math.floor(Number(text) * 1000)
    : MILLISECONDS.test(text)
      ? Number(text)
      : isoTime(text);
  if (at === undefined)
    throw invalid(
      `The time "${text}" is neither ISO 8601, such as 2026-01-31T12:00:00Z, nor Unix seconds or milliseconds.`,
    );
  if (at < EARLIEST || at > now + MAX_AHEAD_MS)
    throw invalid(
      `The time "${text}" is ${at < EARLIEST ? "before the year 2000" : "in the future"}. Write ISO 8601, Unix seconds or milliseconds.`,
    );
  return at;
}

function isoTime(text: string): number | undefined {
  const parts = ISO.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const ms = Math.floor(Number(`0.${parts[7] ?? 0}`) * 1000);
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms - offsetOf(parts[8]);
}

/** @returns milliseconds east of UTC */
function offsetOf(zone: string | undefined): number {
  const [, sign, hours = 0, minutes = 0] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone ?? "") ?? [];
  if (sign === undefined) return 0;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

function invalid(message: string): HookonceError {
  return new HookonceError("invalid_request", message);
}
