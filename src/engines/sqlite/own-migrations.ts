import type { Migration } from "../store.ts";
import inbox from "../../../drizzle/0000_inbox.sql" with { type: "text" };
import replies from "../../../drizzle/0001_replies.sql" with { type: "text" };
import onePath from "../../../drizzle/0002_one_path.sql" with { type: "text" };
import interruptedRuns from "../../../drizzle/0003_interrupted_runs.sql" with { type: "text" };
import lookAndAct from "../../../drizzle/0004_look_and_act.sql" with { type: "text" };
import changes from "../../../drizzle/0005_changes.sql" with { type: "text" };
import failureSummaries from "../../../drizzle/0006_failure_summaries.sql" with { type: "text" };
import owedTypes from "../../../drizzle/0007_owed_types.sql" with { type: "text" };
import newestWins from "../../../drizzle/0008_newest_wins.sql" with { type: "text" };
import eras from "../../../drizzle/0009_eras.sql" with { type: "text" };
import appliedAt from "../../../drizzle/0010_applied_at.sql" with { type: "text" };
import outbox from "../../../drizzle/0011_outbox.sql" with { type: "text" };
import retention from "../../../drizzle/0012_retention.sql" with { type: "text" };
import sourceStates from "../../../drizzle/0013_source_states.sql" with { type: "text" };
import auditCounts from "../../../drizzle/0014_audit_counts.sql" with { type: "text" };
import failedAnswers from "../../../drizzle/0015_failed_answers.sql" with { type: "text" };
import redact from "../../../drizzle/0016_redact.sql" with { type: "text" };
import dueBySource from "../../../drizzle/0017_due_by_source.sql" with { type: "text" };
import alerts from "../../../drizzle/0018_alerts.sql" with { type: "text" };
import bodyIds from "../../../drizzle/0019_body_ids.sql" with { type: "text" };
import resumeOrder from "../../../drizzle/0020_resume_order.sql" with { type: "text" };

/**
 * The migrations that drizzle-kit generated, embedded in the binary. Add each new file here: a test compares
 * the lists.
 */
export const ownMigrations: readonly Migration[] = [
  { name: "0000_inbox.sql", sql: inbox },
  { name: "0001_replies.sql", sql: replies },
  { name: "0002_one_path.sql", sql: onePath },
  { name: "0003_interrupted_runs.sql", sql: interruptedRuns },
  { name: "0004_look_and_act.sql", sql: lookAndAct },
  { name: "0005_changes.sql", sql: changes },
  { name: "0006_failure_summaries.sql", sql: failureSummaries },
  { name: "0007_owed_types.sql", sql: owedTypes },
  { name: "0008_newest_wins.sql", sql: newestWins },
  { name: "0009_eras.sql", sql: eras },
  { name: "0010_applied_at.sql", sql: appliedAt },
  { name: "0011_outbox.sql", sql: outbox },
  { name: "0012_retention.sql", sql: retention },
  { name: "0013_source_states.sql", sql: sourceStates },
  { name: "0014_audit_counts.sql", sql: auditCounts },
  { name: "0015_failed_answers.sql", sql: failedAnswers },
  { name: "0016_redact.sql", sql: redact },
  { name: "0017_due_by_source.sql", sql: dueBySource },
  { name: "0018_alerts.sql", sql: alerts },
  { name: "0019_body_ids.sql", sql: bodyIds },
  { name: "0020_resume_order.sql", sql: resumeOrder },
];
