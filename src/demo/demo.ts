import { randomBytes } from "node:crypto";
import { openHookonceReceiver } from "./hookonce-receiver.ts";
import { makePayments, readCredited, type Credited, type Payment } from "./payments.ts";
import type { Receiver } from "./receiver.ts";
import { planStorm, sendStorm, type PlannedDelivery, type StormReport } from "./storm.ts";
import { formatTable, styled } from "./table.ts";
import { openTutorialReceiver, RECEIPT_MS } from "./tutorial-receiver.ts";

/** The demo may take 10 s. On a disk with 10 ms for an fsync, the tutorial's two per event take over 4 s. */
const EVENTS = 200;
const COPIES = 10;
const LOST_SHARE = 0.1;
const SENDERS = 64;

export interface DemoOptions {
  /** An empty folder. The caller removes it. */
  readonly folder: string;
  /** Ends the demo early: `playDemo` then closes what it opened, and rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** @returns whether hookonce credited every event, and each of them once */
export async function playDemo({ folder, signal, say }: DemoOptions): Promise<boolean> {
  const secret = `whsec_${randomBytes(24).toString("base64url")}`;
  const payments = makePayments(EVENTS);
  const plan = planStorm(payments, { copies: COPIES, lostShare: LOST_SHARE, random: Math.random });
  const storm = { plan, secret, signal };

  say(styled("bold", "The same storm of retries, sent to two receivers on this machine"));
  say("");
  say(`storm     ${EVENTS} signed Stripe payments, each delivered ${COPIES} times in random order,`);
  say(
    `          ${SENDERS} at a time; one answer in ${1 / LOST_SHARE} is lost, so the sender delivers again`,
  );
  say(`tutorial  looks up the id, credits, sends a receipt (${RECEIPT_MS} ms), stores the id …`);
  const tutorial = await sendTo(await openTutorialReceiver(folder, secret), storm);
  say("hookonce  stores id and credit in one transaction, on disk before the answer …");
  const hookonce = await sendTo(await openHookonceReceiver(folder, secret), storm);
  say("");

  const expected = payments.reduce((sum, { cents }) => sum + cents, 0);
  for (const line of compare(payments, expected, tutorial, hookonce)) say(line);
  const exact = isExact(hookonce, payments.length, expected);
  say("");
  say(verdictOn(tutorial, expected));
  say(
    exact
      ? "hookonce credited every event once."
      : styled("red", "hookonce did not credit every event once. This is a bug: please report it."),
  );
  say("");
  say(`Make your own inbox:  ${styled("bold", "hookonce init my-inbox")}`);
  return exact;
}

interface Result extends StormReport {
  /** Read from the receiver's database after it was closed. */
  readonly credited: Credited;
}

interface Storm {
  readonly plan: readonly PlannedDelivery[];
  readonly secret: string;
  readonly signal: AbortSignal;
}

async function sendTo(opened: Receiver, { plan, secret, signal }: Storm): Promise<Result> {
  let report: StormReport;
  {
    await using receiver = opened;
    report = await sendStorm(plan, { url: receiver.url, secret, senders: SENDERS, signal });
  }
  return { ...report, credited: readCredited(opened.databasePath) };
}

function isExact({ credited }: Result, events: number, expected: number): boolean {
  return credited.cents === expected && credited.customers === events && credited.doubled === 0;
}

function compare(payments: readonly Payment[], expected: number, ...results: readonly Result[]): string[] {
  const row = (label: string, cell: (result: Result) => string) => ({ label, cells: results.map(cell) });
  const colors = results.map((result) => (isExact(result, payments.length, expected) ? "green" : "red"));
  return formatTable(
    ["tutorial", "hookonce"],
    [
      row("events sent", () => count(payments.length)),
      row("deliveries", ({ deliveries }) => count(deliveries)),
      row("answers lost", ({ answersLost }) => count(answersLost)),
      row("credits expected", () => dollars(expected)),
      { ...row("credited", ({ credited }) => dollars(credited.cents)), colors },
      { ...row("events doubled", ({ credited }) => count(credited.doubled)), colors },
      row("time", ({ ms }) => `${(ms / 1000).toFixed(2)} s`),
    ],
  );
}

function verdictOn({ credited }: Result, expected: number): string {
  if (credited.doubled === 0)
    return "The tutorial was lucky this time: no copy arrived before it stored the id.";
  const over = dollars(credited.cents - expected);
  return `The tutorial credited ${over} too much: copies arrived before it stored the id.`;
}

const count = (value: number): string => value.toLocaleString("en-US");
const dollars = (cents: number): string =>
  (cents / 100).toLocaleString("en-US", { style: "currency", currency: "USD" });
