import type { ListedMessage, MessageDetail, MessageFilter, MessageState } from "../engines/outbox.ts";
import { HookonceError } from "../errors.ts";
import type { JobInbox } from "./event-jobs.ts";
import { runPages, runTogether, type JobRun, type Limited } from "./job-pages.ts";

/** Jobs that send messages again or give up on them. */

export interface MessageJobRequest {
  readonly action: "resend" | "discard";
  /** Certain messages, or all that match: by default the dead ones are sent again, and all unsent ones discarded. */
  readonly messages: MessageFilter & { readonly ids?: readonly string[] | undefined };
  readonly limit?: number | undefined;
  /** Only counts what would be done. */
  readonly dryRun: boolean;
  /** `discard` needs one. */
  readonly reason?: string | undefined;
  /** Messages per second. */
  readonly rate?: number | undefined;
}

/** How far a job has come, so that it can go on after a crash. */
export interface MessagePosition {
  /** How many of the given ids are done with. */
  readonly ids: number;
  /** The row after which it goes on, and the last one that was there when it was ordered. */
  readonly after: number;
  readonly until: number;
}

/** How many messages are read at once. */
const PAGE = 512;

const UNSENT: ReadonlySet<MessageState> = new Set(["waiting", "interrupted", "dead"]);

export async function firstPosition({ reader }: Pick<JobInbox, "reader">): Promise<MessagePosition> {
  return { ids: 0, after: 0, until: await reader.lastMessage() };
}

/**
 * Sends messages again or discards them, in the order written. It may be interrupted at any moment and run again:
 * it sends none twice.
 *
 * @throws HookonceError `unknown_message`, `ambiguous_message`, `message_settled`, `message_sending`,
 *   `reason_missing`; what the queue refused (`disk_full`, `database_locked`, …)
 */
export async function runMessageJob(
  inbox: JobInbox,
  request: MessageJobRequest,
  run: JobRun<MessagePosition>,
): Promise<void> {
  if (request.action === "discard" && request.reason === undefined && !request.dryRun)
    throw new HookonceError("reason_missing", "discard needs a reason: add --reason TEXT.");
  await runPages(select(inbox, request, run.from), request, run, (messages, limited) =>
    runSlice(inbox, request, messages, { ...run, limited }),
  );
}

/** @returns what is left of the limit */
async function runSlice(
  { queue, clock }: JobInbox,
  { action, messages: { ids }, dryRun, reason }: MessageJobRequest,
  messages: readonly ListedMessage[],
  run: JobRun<MessagePosition> & { readonly limited: Limited },
): Promise<number> {
  const { progress, isResumed = false, startedAt, done, signal } = run;
  const { counted } = run.limited;
  let { left } = run.limited;
  const chosen: (() => Promise<void>)[] = [];
  for (const message of messages) {
    const key = String(message.row);
    if (done.has(key) || (left <= 0 && !counted.has(key))) continue;
    const { id, state: outcome } = message;
    const looked = { ...message, message: id, outcome };
    const group = progress.groupOf(looked, null);
    const misfit = ids === undefined ? undefined : misfitOf(action, message);
    if (misfit !== undefined) progress.leaveOut(group, looked, misfit);
    else if (!isFor(action, message)) group.alreadyDone++;
    else {
      if (!counted.has(key)) left--;
      if (dryRun) {
        group.wouldRun++;
        continue;
      }
      if (Number.isFinite(left)) counted.add(key);
      chosen.push(async () => {
        // A message that was sent again before the crash may have been delivered since.
        const unlessSince = isResumed ? startedAt : undefined;
        const job = { kind: "message", action, message: message.row, at: clock(), reason } as const;
        const changed = await queue.write({ ...job, unlessSince }, signal);
        progress.countMessage(group, looked, action, changed);
        done.add(key);
      });
      continue;
    }
    done.add(key);
  }
  await runTogether(chosen, { left, counted }, run);
  return left;
}

async function* select(
  { reader }: Pick<JobInbox, "reader">,
  { action, messages: { ids, ...filter } }: MessageJobRequest,
  from: MessagePosition,
): AsyncGenerator<readonly [readonly ListedMessage[], MessagePosition]> {
  if (ids !== undefined) {
    yield* named(reader, action, ids, filter.destination, from);
    return;
  }
  const state = filter.state ?? (action === "resend" ? "dead" : undefined);
  let { after } = from;
  for (;;) {
    const { items, next } = await reader.messagesWritten(
      { ...filter, state },
      { after, until: from.until },
      PAGE,
    );
    const isWanted = (message: ListedMessage): boolean => state !== undefined || isUnsent(message);
    after = next ?? from.until;
    yield [items.filter(isWanted), { ...from, after }];
    if (next === undefined) return;
    // Reading a page blocks. Let the deliveries in before the next one.
    await Bun.sleep(0);
  }
}

/** Looks all of them up before anything is done with the first one. */
async function* named(
  reader: JobInbox["reader"],
  action: MessageJobRequest["action"],
  ids: readonly string[],
  destination: string | undefined,
  from: MessagePosition,
): AsyncGenerator<readonly [readonly ListedMessage[], MessagePosition]> {
  const messages: ListedMessage[] = [];
  for (const id of new Set(ids)) {
    messages.push(oneMessage(id, destination, await reader.messageDetails(id)));
    if (messages.length % PAGE === 0) await Bun.sleep(0);
  }
  const misfits = messages.map((message) => misfitOf(action, message));
  const [first] = misfits;
  if (first !== undefined && !misfits.includes(undefined)) throw first;
  for (let done = from.ids; done < messages.length; done += PAGE)
    yield [messages.slice(done, done + PAGE), { ...from, ids: done + PAGE }];
}

/** @throws HookonceError `unknown_message`, `ambiguous_message` */
export function oneMessage(
  id: string,
  destination: string | undefined,
  found: readonly MessageDetail[],
): MessageDetail {
  const fitting = found.filter((one) => destination === undefined || one.destination === destination);
  const [message, other] = fitting;
  if (message === undefined) {
    const where = destination === undefined ? "" : ` for the destination "${destination}"`;
    throw new HookonceError(
      "unknown_message",
      `There is no message "${id}"${where}. To list messages: hookonce messages`,
    );
  }
  if (other === undefined) return message;
  const names = fitting.map((one) => `${one.destination} (${one.state})`);
  throw new HookonceError(
    "ambiguous_message",
    `Several destinations have a message "${id}": ${names.join(", ")}. Add --destination NAME.`,
  );
}

const isUnsent = ({ state }: ListedMessage): boolean => UNSENT.has(state);

function isFor(action: MessageJobRequest["action"], message: ListedMessage): boolean {
  return action === "resend" ? message.state !== "sending" : isUnsent(message);
}

/** Why an action is not for a message that somebody has named. Undefined if it is, or if nothing is left to do. */
function misfitOf(
  action: MessageJobRequest["action"],
  { id, state }: ListedMessage,
): HookonceError | undefined {
  if (state === "sending")
    return new HookonceError(
      "message_sending",
      `The message "${id}" is being sent. Wait until its command has ended.`,
    );
  if (action === "discard" && state === "delivered")
    return new HookonceError(
      "message_settled",
      `The message "${id}" was delivered. Only an unsent message can be discarded.`,
    );
  return undefined;
}
