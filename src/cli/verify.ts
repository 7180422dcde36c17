import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { diagnoseInFolder, diagnoseRefused } from "../app/diagnose-in-folder.ts";
import { lastRefused } from "../app/last-refused.ts";
import { secretNeeds } from "../app/sources.ts";
import { readConfig } from "../config/load.ts";
import { nearest } from "../config/nearest.ts";
import type { InboxDiagnosis } from "../doctor/in-inbox.ts";
import type { Fact } from "../providers/schemes/scheme.ts";
import { joinRequest, parseRequest } from "../doctor/saved-request.ts";
import { HookonceError, messageOf, type ErrorCode } from "../errors.ts";
import type { Delivery } from "../event.ts";
import { visible } from "../logging/visible.ts";
import { EXIT } from "./exit.ts";
import { say, complain } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface VerifyFlags {
  source?: string;
  /** The delivery that the running `serve` refused last. */
  last?: boolean;
  request?: string;
  headers?: string;
  body?: string;
  url?: string;
  /** Unix milliseconds. */
  at?: number;
  log?: string;
}

/**
 * `hookonce verify`: the signature doctor. Exits with 0 if the request verifies, else with 1.
 *
 * @throws UsageError
 */
export async function runVerify(folder: string, flags: VerifyFlags): Promise<number> {
  if (flags.last === true) return verifyLast(folder, flags);
  const nowMs = flags.at ?? Date.now();
  const delivery = requestOf(flags, nowMs);
  if (delivery === undefined)
    throw new UsageError(
      "nothing to verify: use --last, --request <file>, or --headers <file> with --body <file>",
    );
  if (flags.source === undefined)
    throw new UsageError(`--source is missing: name one of ${sourceNames(folder).join(", ")}`);
  return diagnose(delivery, folder, flags.source, nowMs, flags);
}

async function diagnose(
  delivery: Delivery,
  folder: string,
  source: string,
  nowMs: number,
  flags: VerifyFlags,
): Promise<number> {
  return shown(await diagnoseInFolder(delivery, { folder, source, ...contextOf(nowMs, flags) }));
}

function contextOf(nowMs: number, { log }: VerifyFlags) {
  return {
    environment: process.env,
    nowMs,
    fetch: globalThis.fetch,
    log: log === undefined ? undefined : read(log).toString(),
  };
}

/** @param said the message of a refusal that has been shown */
function shown(diagnosis: InboxDiagnosis, said?: string): number {
  say(report(diagnosis, said).trimEnd());
  return diagnosis.verified ? EXIT.done : EXIT.failed;
}

/** Diagnoses what the running `serve` refused last, as of the time when it arrived. */
async function verifyLast(folder: string, flags: VerifyFlags): Promise<number> {
  if ([flags.request, flags.headers, flags.body, flags.url].some((flag) => flag !== undefined))
    throw new UsageError("--last takes the request from the running serve: leave out the files and --url");
  const { source } = flags;
  if (source !== undefined) sourceNames(folder, source);
  const { refused: last, shown: secrets, loadedAt, outdated } = await lastRefused(folder, source);
  for (const one of secrets)
    say(
      visible(
        `Source ${one.source} has received the secret ${one.secret}. Anyone may have sent it, so enter it at the provider first: the provider accepts only its own secret.`,
      ),
    );
  if (last === undefined) {
    if (secrets.length > 0) return EXIT.done;
    const what = source === undefined ? "no delivery" : `no delivery to source "${source}"`;
    complain(`hookonce serve has refused ${what} since it started.`);
    return EXIT.failed;
  }
  const { received_at: receivedAt, body, body_missing: missing, ...refused } = last;
  const { method, url, message, code } = refused;
  const when = new Date(receivedAt).toISOString();
  say(visible(`${method} ${url} was refused at ${when}: ${message} [${code}]`));
  if (missing !== null) say(WHY_MISSING[missing]);
  say("");
  return shown(
    await diagnoseRefused(
      { ...refused, code: code as ErrorCode, receivedAt, body: missing ?? Buffer.from(body ?? "", "base64") },
      { folder, outdated, loadedAt, ...contextOf(flags.at ?? receivedAt, flags) },
    ),
    message,
  );
}

const WHY_MISSING = {
  not_read: "Its headers were enough to refuse it, so its body was not read.",
  too_large: "Its body is larger than 1 MiB and was not kept.",
  secret: "Any value in it may be the secret, so its values and its body are not kept.",
} as const;

/** @throws HookonceError `unknown_source` if there is no source of this name */
function sourceNames(folder: string, name?: string): string[] {
  const names = readConfig(resolve(folder), secretNeeds, null).written.map(([one]) => one);
  if (name === undefined || names.includes(name)) return names;
  throw new HookonceError("unknown_source", `There is no source "${name}"; ${nearest(name, names)}`);
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

/**
 * The diagnosis as text: what is expected, what was found, the verdict, its causes, and the remedies.
 *
 * @param said a message that has been shown, and is not repeated
 */
export function report(diagnosis: InboxDiagnosis, said?: string): string {
  const { source, provider, expected, found, verified, refusal, findings, events, handshake, docs } =
    diagnosis;
  const lines = [
    `source ${source}, ${provider}`,
    ...listed("expected", expected),
    ...listed("found", found),
    "",
    verified ? verdictOf(findings) : refusedAs(refusal, said),
    ...(handshake === undefined
      ? []
      : [`handshake ${handshake}: hookonce answers it, and it carries no event`]),
    ...events
      .filter((event) => said === undefined || !event.startsWith(`none: ${said} [`))
      .map((event) => `event ${event}`),
  ];
  for (const { what, remedy, proven } of findings) {
    if (what === said) lines.push("", `Fix: ${remedy}`);
    else lines.push("", `${proven ? "Cause" : "Possible cause"}: ${what}`, `  Fix: ${remedy}`);
  }
  if (!verified) lines.push("", `How ${provider} signs: ${docs}`);
  // Parts of the text come from the sender of the request.
  return `${lines.map((line) => visible(line)).join("\n")}\n`;
}

function refusedAs(refusal: InboxDiagnosis["refusal"], said: string | undefined): string {
  if (refusal !== undefined && refusal.message === said) return "It is refused again, for the same reason.";
  return `It is refused: ${refusal?.message ?? ""} [${refusal?.code ?? ""}]`;
}

function verdictOf(findings: InboxDiagnosis["findings"]): string {
  const isChanged = findings.some(({ cause }) => cause === "outdated" || cause === "reloaded");
  return isChanged ? "It verifies with what the config says now." : "It verifies.";
}

function listed(title: string, facts: readonly Fact[]): string[] {
  if (facts.length === 0) return [];
  const width = Math.max(...facts.map(({ label }) => label.length));
  return ["", `${title}:`, ...facts.map(({ label, text }) => `  ${label.padEnd(width)}  ${text}`)];
}
