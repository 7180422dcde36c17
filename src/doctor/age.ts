import type { HookonceError } from "../errors.ts";
import type { Finding, Rejection } from "./diagnosis.ts";

/** How many rejections in a row say that it is the clock. */
const IN_A_ROW = 20;

/** Once the signature itself is right. */
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
    what: `The signature is right; only its age is not. It was signed at ${signedAt}, ${inWords(Math.abs(ageS))} (${Math.abs(ageS)} s) ${past ? "before" : "after"} the time it was verified at.`,
    remedy: past
      ? `A saved request is verified as of then with --at ${signedAt}. If it was refused as it arrived, either this machine's clock is ahead, or it lay in a queue, or somebody sent an old delivery again; \`tolerance\` says how much is allowed.`
      : `This machine's clock is behind, or the sender's is ahead: set them by NTP. Was it verified at the time you meant (--at)?`,
  };
  return clock === undefined ? [age] : [clock, age];
}

/** A source whose rejections are all stale: then it is not one delivery, but the clock. */
export function clockFinding(rejections: readonly Rejection[] = []): Finding | undefined {
  const last = rejections.slice(-IN_A_ROW);
  if (last.length < IN_A_ROW) return undefined;
  const ages = last.map(({ code, ageS }) =>
    code === "timestamp_stale" || code === "timestamp_in_future" ? ageS : undefined,
  );
  const known = ages.filter((age) => age !== undefined).sort((a, b) => a - b);
  if (known.length < IN_A_ROW) return undefined;
  if (Math.sign(known[0] as number) !== Math.sign(known.at(-1) as number)) return undefined;
  // The least delayed of them say most: waiting in a queue only makes a delivery older.
  const offset = known[0] as number;
  const ahead = offset > 0;
  return {
    cause: "clock",
    proven: false,
    what: `This source's last ${IN_A_ROW} rejections are all ${ahead ? "too old" : "from the future"}, by ${Math.abs(known[0] as number)} to ${Math.abs(known.at(-1) as number)} s: this machine's clock is about ${Math.abs(offset)} s ${ahead ? "ahead" : "behind"}.`,
    remedy: "Compare `date -u` with the time of another machine, and let NTP set the clock.",
  };
}

/** In seconds, as the engine's own message says it; negative in the future. */
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
