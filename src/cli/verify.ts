import { readFileSync } from "node:fs";
import { diagnoseInFolder } from "../app/diagnose-in-folder.ts";
import type { InboxDiagnosis } from "../doctor/in-inbox.ts";
import type { Fact } from "../providers/schemes/scheme.ts";
import { joinRequest, parseRequest } from "../doctor/saved-request.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { Delivery } from "../event.ts";
import { visible } from "../logging/visible.ts";
import { EXIT } from "./exit.ts";

export interface VerifyFlags {
  source: string;
  request?: string;
  headers?: string;
  body?: string;
  url?: string;
  /** Unix milliseconds. */
  at?: number;
  log?: string;
}

/** `hookonce verify`: the signature doctor. Exits with 0 if the request verifies, else with 1. */
export async function runVerify(folder: string, flags: VerifyFlags): Promise<number> {
  const nowMs = flags.at ?? Date.now();
  const delivery = requestOf(flags, nowMs);
  if (delivery === undefined) {
    console.error("error: nothing to verify: use --request <file>, or --headers <file> with --body <file>");
    return EXIT.usage;
  }
  const diagnosis = await diagnoseInFolder(delivery, {
    folder,
    source: flags.source,
    environment: process.env,
    nowMs,
    fetch: globalThis.fetch,
    log: flags.log === undefined ? undefined : read(flags.log).toString(),
  });
  process.stdout.write(report(diagnosis));
  return diagnosis.verified ? EXIT.done : EXIT.failed;
}

function requestOf({ request, headers, body, url }: VerifyFlags, nowMs: number): Delivery | undefined {
  if (request !== undefined && headers === undefined && body === undefined)
    return parseRequest(read(request), nowMs, url);
  if (request === undefined && headers !== undefined && body !== undefined)
    return joinRequest(read(headers), read(body), nowMs, url);
  return undefined;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new HookonceError("request_unreadable", `${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The diagnosis as text: what is expected, what was found, the verdict, its causes, and the remedies. */
export function report(diagnosis: InboxDiagnosis): string {
  const { source, provider, expected, found, verified, refusal, findings, events, handshake, docs } =
    diagnosis;
  const lines = [
    `source ${source}, ${provider}`,
    ...listed("expected", expected),
    ...listed("found", found),
    "",
    verified ? "It verifies." : `It is refused: ${refusal?.message ?? ""} [${refusal?.code ?? ""}]`,
    ...(handshake === undefined
      ? []
      : [`handshake ${handshake}: hookonce answers it, and it carries no event`]),
    ...events.map((event) => `event ${event}`),
  ];
  for (const { what, remedy, proven } of findings) {
    lines.push("", `${proven ? "Cause" : "Possible cause"}: ${what}`, `  Fix: ${remedy}`);
  }
  if (!verified) lines.push("", `How ${provider} signs: ${docs}`);
  // Parts of the text come from the sender of the request.
  return `${lines.map((line) => visible(line)).join("\n")}\n`;
}

function listed(title: string, facts: readonly Fact[]): string[] {
  const width = Math.max(...facts.map(({ label }) => label.length));
  return ["", `${title}:`, ...facts.map(({ label, text }) => `  ${label.padEnd(width)}  ${text}`)];
}
