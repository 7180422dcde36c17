import type { HookonceError } from "../errors.ts";
import type { Finding, Rejection } from "./diagnosis.ts";

/** This many stale deliveries in a row mean that the clock is wrong. */
const IN_A_ROW = 20;

/** The findings for a signature that is right but too old or too new. */
export function ageFindings(
  refusal: HookonceError,
  rejections: readonly Rejection[] | undefined,
  nowMs: number,
): Finding[] {
  const ageS = ageIn(refusal.message);
  if (ageS === undefined) return [];
  const clock = clockFinding(rejections);
  const signedAt = new Date(Math.trunc(nowMs / 1000) * 1000 - ageS * 1000).toISOString();
  const past = ageS > 0;
  const age: Finding = {
    cause: "age",
    proven: true,
    what: `The signature is right, but its age is not. It was signed at ${signedAt}, which is ${inWords(Math.abs(ageS))} (${Math.abs(ageS)} s) ${past ? "before" : "after"} the time of verifying.`,
    remedy: past
      ? `To verify a saved request as of that time, use --at ${signedAt}. If the request was refused when it arrived, then this machine's clock is ahead, the request waited in a queue, or somebody sent an old delivery again. \`tolerance\` sets how old a signature may be.`
      : `This machine's clock is behind, or the sender's is ahead: let NTP set them. Is --at the time you meant?`,
  };
  return clock === undefined ? [age] : [clock, age];
}

/** If all of a source's rejections are stale, the clock is the cause, not one delivery. */
export function clockFinding(rejections: readonly Rejection[] = []): Finding | undefined {
  const last = rejections.slice(-IN_A_ROW);
  if (last.length < IN_A_ROW) return undefined;
  const ages = last.map(({ code, ageS }) =>
    code === "timestamp_stale" || code === "timestamp_in_future" ? ageS : undefined,
  );
  const known = ages.filter((age) => age !== undefined).sort((a, b) => a - b);
  if (known.length < IN_A_ROW) return undefined;
  if (Math.sign(known[0] as number) !== Math.sign(known.at(-1) as number)) return undefined;
  // The one with the least delay is the most exact, because waiting in a queue only makes a delivery older.
  const offset = known[0] as number;
  const ahead = offset > 0;
  return {
    cause: "clock",
    proven: false,
    what: `The last ${IN_A_ROW} rejected deliveries of this source were all ${ahead ? "too old" : "from the future"}, by ${Math.abs(known[0] as number)} to ${Math.abs(known.at(-1) as number)} s, so this machine's clock is about ${Math.abs(offset)} s ${ahead ? "ahead" : "behind"}.`,
    remedy: "Compare `date -u` with another machine, and let NTP set the clock.",
  };
}

/** The age that an error message of checkAge names, in seconds; negative if it is in the future. */
export function ageIn(message: string): number | undefined {
  const [, past, future] = /signed (?:(\d+) s ago|(\d+) s in the future)/.exec(message) ?? [];
  if (past !== undefined) return Number(past);
  return future === undefined ? undefined : -Number(future);
}

function inWords(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}
