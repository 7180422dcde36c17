import { describe, expect, test } from "bun:test";
import type { EventSource, LoadedHandler } from "../../src/engines/engine.ts";
import type { RecordedOutcome } from "../../src/engines/reader.ts";
import { HookonceError } from "../../src/errors.ts";
import {
  acceptsFailure,
  checkChange,
  countsForHold,
  decideNew,
  isOwed,
  sendsOn,
  judge,
  isLikelyRetry,
  isQuarantined,
  policy,
  repeatedAs,
  retryAt,
} from "../../src/inbox/decide.ts";

const handler: LoadedHandler = { file: "handlers/stripe/invoice.paid.sql", hash: "1", language: "sql" };

function source(change: Partial<EventSource> = {}): EventSource {
  return {
    name: "stripe",
    handlersOf: "stripe",
    unhandled: "record",
    requireChange: false,
    sameBody: false,
    retryForMs: 0,
    retryWindowMs: 0,
    // The policy reads no delivery.
    payloadOf: () => {
      throw new Error("a delivery was read");
    },
    typeOf: () => undefined,
    ...change,
  };
}

describe("a new event", () => {
  test.each(["record", "ignore", "fail"] as const)('runs its handler with unhandled = "%s"', (unhandled) => {
    expect(decideNew(source({ unhandled }), "invoice.paid", handler, false)).toEqual({ run: handler });
  });

  test.each([
    ["record", { record: "unhandled" }],
    ["ignore", { record: "ignored" }],
  ] as const)(
    'without a handler runs nothing with unhandled = "%s", and is recorded',
    (unhandled, decided) => {
      expect(decideNew(source({ unhandled }), "invoice.paid", null, false)).toEqual(decided);
    },
  );

  test('without a handler fails with unhandled = "fail", and the error names type, source and remedy', () => {
    const decided = decideNew(
      source({ unhandled: "fail", handlersOf: "payments" }),
      "invoice.paid",
      null,
      false,
    );
    expect(Object.keys(decided)).toEqual(["fail"]);
    const { fail } = decided as { fail: HookonceError };
    expect(fail).toBeInstanceOf(HookonceError);
    expect(fail.code).toBe("no_handler");
    expect(fail.message).toBe(
      'There is no handler for the type "invoice.paid", and source "stripe" has unhandled = "fail". Add a handler for it in handlers/payments/.',
    );
  });

  test("without a type is named so", () => {
    const { fail } = decideNew(source({ unhandled: "fail" }), "", null, false) as { fail: HookonceError };
    expect(fail.message).toStartWith("There is no handler for events without a type,");
  });
});

/** Every outcome of a recorded event, with and without a handler. */
const recorded: readonly {
  outcome: RecordedOutcome;
  owedWithHandler: boolean;
  owedWithout: boolean;
  repeat: string;
}[] = [
  { outcome: "processed", owedWithHandler: false, owedWithout: false, repeat: "duplicate" },
  { outcome: "ignored", owedWithHandler: false, owedWithout: false, repeat: "duplicate" },
  { outcome: "unhandled", owedWithHandler: true, owedWithout: false, repeat: "unhandled" },
];

describe("a recorded event", () => {
  test.each(recorded)("that is $outcome", ({ outcome, owedWithHandler, owedWithout, repeat }) => {
    expect(isOwed(source(), outcome, handler)).toBe(owedWithHandler);
    expect(isOwed(source(), outcome, null)).toBe(owedWithout);
    expect(repeatedAs(outcome)).toBe(repeat as ReturnType<typeof repeatedAs>);
  });
});

describe("a handler's run", () => {
  test.each([
    { requireChange: false, rowsChanged: 0, refused: false },
    { requireChange: false, rowsChanged: 1, refused: false },
    { requireChange: true, rowsChanged: 0, refused: true },
    { requireChange: true, rowsChanged: 1, refused: false },
    { requireChange: true, rowsChanged: 1000, refused: false },
  ])(
    "that changed $rowsChanged rows, with require_change = $requireChange, is refused: $refused",
    ({ requireChange, rowsChanged, refused }) => {
      const check = (): void => checkChange(source({ requireChange }), handler, rowsChanged);
      if (refused)
        expect(check).toThrow(
          expect.objectContaining({
            code: "no_rows_changed",
            message:
              'handlers/stripe/invoice.paid.sql changed no rows, and source "stripe" has require_change = true.',
          }),
        );
      else expect(check).not.toThrow();
    },
  );
});

describe("an event whose earlier id is recorded without a body", () => {
  const imported = { outcome: "imported", type: "invoice.paid", receivedAt: 1000 } as const;
  test.each([
    { recorded: imported, at: 1000, isRetry: true },
    { recorded: imported, at: 1500, isRetry: true },
    { recorded: imported, at: 1501, isRetry: false },
    { recorded: { ...imported, type: "invoice.sent" }, at: 1000, isRetry: false },
    { recorded: { ...imported, outcome: "ignored" }, at: 1000, isRetry: false },
  ] as const)("$recorded is a retry at $at: $isRetry", ({ recorded, at, isRetry }) => {
    const input = { type: "invoice.paid", receivedAt: at };
    expect(isLikelyRetry(source({ retryWindowMs: 500 }), recorded, input)).toBe(isRetry);
  });
});

describe("a failure", () => {
  test.each([
    { code: "handler_timeout", handlerHash: handler.hash, quarantined: true },
    { code: "handler_died", handlerHash: handler.hash, quarantined: true },
    { code: "handler_timeout", handlerHash: "another", quarantined: false },
    { code: "handler_timeout", handlerHash: null, quarantined: false },
    { code: "handler_error", handlerHash: handler.hash, quarantined: false },
    { code: "no_rows_changed", handlerHash: handler.hash, quarantined: false },
  ])("with $code by the version $handlerHash is quarantined: $quarantined", ({ quarantined, ...failure }) => {
    expect(isQuarantined(failure, handler)).toBe(quarantined);
  });

  test.each([
    { code: "handler_error", failedAnswers: 1000, max: undefined, accepted: false },
    { code: "handler_error", failedAnswers: 4, max: 5, accepted: false },
    { code: "handler_error", failedAnswers: 5, max: 5, accepted: true },
    { code: "handler_timeout", failedAnswers: 6, max: 5, accepted: true },
    { code: "handler_error", failedAnswers: 0, max: 0, accepted: true },
    { code: "version_tie", failedAnswers: 0, max: undefined, accepted: true },
    { code: "mixed_versions", failedAnswers: 0, max: undefined, accepted: false },
  ])(
    "with $code after $failedAnswers failed answers of $max is accepted: $accepted",
    ({ code, failedAnswers, max, accepted }) => {
      expect(acceptsFailure(source({ maxFailedAnswers: max }), { code, failedAnswers })).toBe(accepted);
    },
  );

  test("that was accepted is run again for ever, unless it is a tie", () => {
    const failure = { code: "handler_error", firstAt: 0, retries: 40, isAccepted: true };
    const inAYear = 365 * 86_400_000;
    expect(retryAt(source({}), failure, inAYear)).toBeWithin(inAYear, inAYear + 3_600_001);
    expect(retryAt(source({}), { ...failure, isAccepted: false }, inAYear)).toBeNull();
    expect(retryAt(source({}), { ...failure, code: "version_tie" }, inAYear)).toBeNull();
  });
});

test("an engine gets exactly these rules", () => {
  expect(policy).toEqual({
    decideNew,
    judge,
    sendsOn,
    isOwed,
    isQuarantined,
    isLikelyRetry,
    acceptsFailure,
    retryAt,
    countsForHold,
    repeatedAs,
    checkChange,
  });
});
