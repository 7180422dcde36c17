import { randomBytes } from "node:crypto";
import { openHookonceReceiver } from "./hookonce-receiver.ts";
import { makePayments, readCredited, type Credited, type Payment } from "./payments.ts";
import type { Receiver } from "./receiver.ts";
import { planStorm, sendStorm, type PlannedDelivery, type StormReport } from "./storm.ts";
import { formatTable, styled } from "./table.ts";
import { openTutorialReceiver, RECEIPT_MS } from "./tutorial-receiver.ts";

/** The demo may take 10 s: on a disk with 10 ms for an fsync, the tutorial's two for each event are more than 4 of them. */
const EVENTS = 200;
const COPIES = 10;
const LOST_SHARE = 0.1;
const SENDERS = 64;

export interface DemoOptions {
  /** Empty, and the caller's to remove. */
  readonly folder: string;
  /** Ends the demo early: `playDemo` then closes what it opened and rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** @returns whether hookonce credited every event, and each once */
export async function playDemo({ folder, signal, say }: DemoOptions): Promise<boolean> {
  const secret = `whsec_${randomBytes(24).toString("base64url")}`;
  const payments = makePayments(EVENTS);
  const plan = planStorm(payments, { copies: COPIES, lostShare: LOST_SHARE, random: Math.random });
  const weather = { plan, secret, signal };

  say(styled("bold", "The same storm of webhooks against two receivers, here on this machine"));
  say("");
  say(
    `storm     ${EVENTS} Stripe payments, signed, each delivered ${COPIES} times, shuffled, ${SENDERS} at once;`,
  );
  say(`          one answer in ${1 / LOST_SHARE} is lost: the sender hangs up and delivers again`);
  say(
    `tutorial  looks the id up, does the work (credit, ${RECEIPT_MS} ms to send a receipt), stores the id …`,
  );
  const tutorial = await endure(await openTutorialReceiver(folder, secret), weather);
  say("hookonce  id and credit in one SQLite transaction, on the disk before the answer …");
  const hookonce = await endure(await openHookonceReceiver(folder, secret), weather);
  say("");

  const expected = payments.reduce((sum, { cents }) => sum + cents, 0);
  for (const line of compare(payments, expected, tutorial, hookonce)) say(line);
  const exact = isExact(hookonce, payments.length, expected);
  say("");
  say(verdictOn(tutorial, expected));
  say(
    exact
      ? "hookonce credited every event once."
      : styled("red", "hookonce was not exact. That must not happen: please report it."),
  );
  say("");
  say(`Make an inbox of your own:  ${styled("bold", "hookonce init my-inbox")}`);
  return exact;
}

interface Endured extends StormReport {
  /** Read from the receiver's database once it was closed. */
  readonly credited: Credited;
}

interface Weather {
  readonly plan: readonly PlannedDelivery[];
  readonly secret: string;
  readonly signal: AbortSignal;
}

async function endure(opened: Receiver, { plan, secret, signal }: Weather): Promise<Endured> {
  let report: StormReport;
  {
    await using receiver = opened;
    report = await sendStorm(plan, { url: receiver.url, secret, senders: SENDERS, signal });
  }
  return { ...report, credited: readCredited(opened.databasePath) };
}

function isExact({ credited }: Endured, events: number, expected: number): boolean {
  return credited.cents === expected && credited.customers === events && credited.doubled === 0;
}

function compare(payments: readonly Payment[], expected: number, ...receivers: readonly Endured[]): string[] {
  const row = (label: string, cell: (endured: Endured) => string) => ({ label, cells: receivers.map(cell) });
  const colors = receivers.map((endured) => (isExact(endured, payments.length, expected) ? "green" : "red"));
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

function verdictOn({ credited }: Endured, expected: number): string {
  if (credited.doubled === 0)
    return "The tutorial was lucky this time: no copy came while the first was at work.";
  const over = dollars(credited.cents - expected);
  return `The tutorial credited ${over} too much: copies that came while the first was at work found no id.`;
}

const count = (value: number): string => value.toLocaleString("en-US");
const dollars = (cents: number): string =>
  (cents / 100).toLocaleString("en-US", { style: "currency", currency: "USD" });
