import { deliver, type Delivery } from "./jobs.ts";
import { withRule } from "./scenarios/newest-wins.ts";

/** Events of five keys that arrive in no order. One in seven fails when it arrives first. */

const source = withRule("apply");

const keyOf = (n: number): string => `k${n % 5}`;

/** 7919 is a prime, so the versions of 4,000 events differ. */
const versionOf = (n: number): number => (n * 7919) % 4001;

export function ordered(n: number, { fails = n % 7 === 3 } = {}): Delivery {
  const [key, version] = [keyOf(n), versionOf(n)];
  const body = JSON.stringify({ cents: version, fail: fails, key, version });
  return deliver(`${key}_${n}`, { source, body });
}

/** The newest version of each key among the first events. */
export function newestOf(count: number): Map<string, number> {
  const newest = new Map<string, number>();
  for (let n = 0; n < count; n++) newest.set(keyOf(n), Math.max(versionOf(n), newest.get(keyOf(n)) ?? 0));
  return newest;
}
