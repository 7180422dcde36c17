import type { Delivery } from "../../event.ts";
import { HookonceError } from "../../errors.ts";
import { compileSelector, type Part } from "../body/selector.ts";
import type { VerifyContext } from "../context.ts";

/** Where the time of signing is, and how old it may be. */
export interface TimestampRule {
  /**
   * In a header, in the part of the signature header with this prefix, in the one part of the signature
   * header that is a time, or in the signed body.
   */
  readonly from:
    | { readonly header: string }
    | { readonly prefix: string }
    | { readonly amongParts: true }
    | { readonly body: Part };
  /** `iso` is RFC 3339 text. */
  readonly unit: "s" | "ms" | "iso";
  /**
   * How far it may be from now, in either direction, in seconds. Without it, any time is accepted, because
   * the provider names no limit.
   */
  readonly tolerance?: number;
}

/** Names the place in a message. */
export function placeOf({ from }: TimestampRule): string {
  if ("header" in from) return `header ${from.header}`;
  if ("amongParts" in from) return "time in the signature header";
  return "prefix" in from ? `${from.prefix} part of the signature header` : `time in the body, ${from.body},`;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

export function isTime({ unit }: TimestampRule, value: string): boolean {
  // 14 digits of milliseconds reach the year 5138. Anything longer is not a time.
  return unit === "iso" ? RFC_3339.test(value) && !Number.isNaN(Date.parse(value)) : /^\d{1,14}$/.test(value);
}

/** @returns Unix milliseconds */
export function toMs(unit: TimestampRule["unit"], timestamp: string): number {
  return unit === "iso" ? Date.parse(timestamp) : Number(timestamp) * (unit === "s" ? 1000 : 1);
}

/** Returns the time as the provider writes it. */
export function fromMs(unit: TimestampRule["unit"], nowMs: number): string {
  if (unit === "iso") return new Date(nowMs).toISOString();
  return String(unit === "s" ? Math.trunc(nowMs / 1000) : nowMs);
}

/**
 * Returns a check of the age. Run it only after the signature has been verified, so that someone who cannot
 * sign learns nothing about this machine's clock.
 *
 * @returns undefined if there is nothing to check
 */
export function compileAgeCheck(
  rule: TimestampRule | undefined,
  { clock, parse }: VerifyContext,
): ((delivery: Delivery, timestamp: string) => void) | undefined {
  if (rule?.tolerance === undefined) return undefined;
  const { tolerance, unit, from } = rule;
  if (!("body" in from)) return (_, timestamp) => checkAge(toMs(unit, timestamp), tolerance, clock());
  const read = compileSelector(from.body, "absent");
  return (delivery) => {
    const value = read({ headers: delivery.headers, payload: parse(delivery).payload, body: delivery.body });
    if (value === undefined) throw new HookonceError("timestamp_missing", `The ${placeOf(rule)} is missing.`);
    const text = typeof value === "number" || typeof value === "string" ? String(value) : "";
    if (!isTime(rule, text))
      throw new HookonceError("timestamp_invalid", `The ${placeOf(rule)} is not a time.`);
    checkAge(toMs(unit, text), tolerance, clock());
  };
}

/**
 * @param tolerance in seconds
 * @throws HookonceError `timestamp_stale`, `timestamp_in_future`
 */
export function checkAge(signedMs: number, tolerance: number, nowMs: number): void {
  // In whole seconds, as providers and their libraries count: what was signed 300.9 s ago is 300 s old.
  const ageS = Math.trunc(nowMs / 1000) - Math.trunc(signedMs / 1000);
  if (Math.abs(ageS) <= tolerance) return;
  throw ageS > 0
    ? new HookonceError(
        "timestamp_stale",
        `It was signed ${ageS} s ago; ${tolerance} s are allowed. Is this machine's clock right?`,
      )
    : new HookonceError(
        "timestamp_in_future",
        `It is signed ${-ageS} s in the future; ${tolerance} s are allowed. Is this machine's clock right?`,
      );
}
