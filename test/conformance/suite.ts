import { createAlertTests } from "./alerts.ts";
import { createCommitTests } from "./commits.ts";
import { createCounterTests, createYearOfCounts } from "./counters.ts";
import type { EngineHarness } from "./harness.ts";
import { createHistoryTests, createRandomHistories } from "./histories.ts";
import { createInboxTests } from "./inbox.ts";
import { createKillTests } from "./kills.ts";
import { createOutboxTests } from "./outbox.ts";
import { createPausedTests } from "./paused.ts";
import { createReaderTests } from "./reader.ts";
import { createRedactedTests } from "./redacted.ts";
import { createRetentionTests } from "./retention.ts";
import { createTableTests } from "./tables.ts";

/**
 * Holds an engine to the contract of src/engines/engine.ts. Nothing in here knows a database: an engine joins
 * with one harness file.
 */
export function engineConformance(name: string, harness: EngineHarness): void {
  createHistoryTests(name, harness);
  createTableTests(name, harness);
  createCommitTests(name, harness);
  createReaderTests(name, harness);
  createCounterTests(name, harness);
  createOutboxTests(name, harness);
  createInboxTests(name, harness);
  createRetentionTests(name, harness);
  createRedactedTests(name, harness);
  createPausedTests(name, harness);
  createAlertTests(name, harness);
}

/** What commits a thousand times and more, or starts processes. On a server that takes minutes. */
export function engineEndurance(
  name: string,
  harness: EngineHarness,
  { histories, kills }: { readonly histories: number; readonly kills: number },
): void {
  createRandomHistories(name, harness, histories);
  createYearOfCounts(name, harness);
  createKillTests(name, harness, kills);
}
