import { HookonceError, type Problem } from "../errors.ts";
import type { SourceRule } from "./source-rule.ts";

export interface ReconcileOptions {
  /** Unix milliseconds. */
  readonly now: number;
  readonly acceptIdChange: boolean;
  /** Sources that may be gone although their events are stored. Only a reload has such a list. */
  readonly dropped?: readonly string[] | undefined;
}

/** What a database has stored about a source. */
export type StoredRule = Pick<SourceRule, "name" | "eventIdRule" | "retryWindowMs">;

/** A source that is gone, or whose event ids come from another place now. */
export interface RuleChange {
  /** As it is stored. */
  readonly source: string;
  /** It matters if an event of the source was delivered since then, in Unix milliseconds. */
  readonly since: number;
  readonly problem: Problem;
}

/**
 * Compares the rules of the config with the stored ones. If a source is renamed or its event ids come from another
 * place, retries of recorded events are not recognized and would be applied again.
 */
export function changesOf(
  stored: readonly StoredRule[],
  rules: readonly SourceRule[],
  { now, acceptIdChange, dropped }: ReconcileOptions,
): readonly RuleChange[] {
  if (acceptIdChange) return [];
  return stored.flatMap(({ name, eventIdRule, retryWindowMs }) => {
    const rule =
      rules.find(({ renamedFrom }) => renamedFrom === name) ?? rules.find((one) => one.name === name);
    if (rule?.eventIdRule === eventIdRule) return [];
    if (rule?.earlierRules.includes(eventIdRule) === true) return [];
    const mayBeGone = retryWindowMs === 0 || dropped?.includes(name) === true;
    if (rule === undefined && mayBeGone) return [];
    // A source that is gone matters only while its events may be retried. A changed rule always matters: no
    // recorded event of the source would be recognized again.
    const since = rule === undefined ? now - retryWindowMs : 0;
    const message =
      rule === undefined
        ? `source "${name}" is gone from the config, but its provider may still retry its events. ${remedyFor(name, dropped !== undefined)}`
        : `source "${rule.name}": the event id now comes from ${rule.eventIdRule} instead of ${eventIdRule}. Retries of recorded events would be applied again: restore event_id, or accept this by starting once with --accept-id-change.`;
    return [{ source: name, since, problem: { message } }];
  });
}

function remedyFor(name: string, isReload: boolean): string {
  return isReload
    ? `If you removed it, run hookonce reload --drop-source ${name}. If you renamed it, restart hookonce serve with renamed_from = "${name}" under its new name.`
    : `If you renamed it, add renamed_from = "${name}" under its new name; if you removed it, start once with --accept-id-change.`;
}

/**
 * Refuses a start for these changes.
 *
 * @throws HookonceError `event_id_rule_changed`, with a problem for each
 */
export function refuseRuleChanges(changes: readonly RuleChange[]): void {
  if (changes.length === 0) return;
  throw new HookonceError("event_id_rule_changed", "The config no longer matches the recorded events.", {
    problems: changes.map(({ problem }) => problem),
  });
}
