import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCommandSender, type CommandSenderOptions } from "../../../src/outbox/command-sender.ts";
import type { AttemptResult, OutgoingMessage, Sender } from "../../../src/outbox/sender.ts";

/** A message whose body is this text. */
export function messageOf(
  body: string | Uint8Array,
  changes: Partial<OutgoingMessage> = {},
): OutgoingMessage {
  return {
    id: "msg_1",
    attempt: 1,
    kind: "event",
    source: "github",
    eventId: "evt_1",
    type: "push",
    receivedAt: Date.UTC(2026, 10, 27),
    headers: {},
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    payloadJson: null,
    ...changes,
  };
}

export interface CommandInbox extends Disposable {
  readonly folder: string;
  /** Adds a file with the mode of a program. */
  write(name: string, text: string, mode?: number): void;
  read(name: string): string;
  sender(options?: Partial<CommandSenderOptions>): Sender;
  /** Runs a script of sh once. */
  run(script: string, options?: Partial<RunOptions>): Promise<AttemptResult>;
}

interface RunOptions extends CommandSenderOptions {
  readonly message: OutgoingMessage;
  readonly signal: AbortSignal;
}

/** A folder with commands, on the disk: in containers, programs cannot be run from /dev/shm. */
export function commandInbox(): CommandInbox {
  const folder = mkdtempSync(join(tmpdir(), "hookonce-commands-"));
  const write = (name: string, text: string, mode = 0o755): void =>
    writeFileSync(join(folder, name), text, { mode });
  const sender = (options: Partial<CommandSenderOptions> = {}): Sender =>
    createCommandSender({
      command: ["./run.sh"],
      inboxFolder: folder,
      environment: { PATH: process.env["PATH"] },
      secretVariables: [],
      timeoutMs: 60_000,
      onStarted: () => Promise.resolve(),
      ...options,
    });
  return {
    folder,
    write,
    read: (name) => readFileSync(join(folder, name), "utf8"),
    sender,
    run(script, { message = messageOf(""), signal = new AbortController().signal, ...options } = {}) {
      write("run.sh", `#!/bin/sh\n${script}\n`);
      return sender(options).send(message, signal);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/**
 * The processes of a group that run. Zombies do not: in a container, the first process may never wait for
 * orphans.
 */
export function runningIn(group: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return state !== "Z" && Number(pgrp) === group;
      } catch {
        return false;
      }
    });
}

/** Waits for a condition. The test's own time limit ends it. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await Bun.sleep(10);
}
