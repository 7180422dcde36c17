import { readFileSync } from "node:fs";
import { withCode } from "../errors.ts";
import type { Fetch } from "./context.ts";

export interface HostAddress {
  readonly address: string;
}

const RESOLV_CONF = "/etc/resolv.conf";

/**
 * Looks up all addresses of a host. On Linux, getaddrinfo takes a thread of Bun's pool until the DNS server
 * answers. The pool has as many threads as the machine has cores, and each fsync of the log needs one: with two
 * names whose server was silent, deliveries took 20 s. c-ares needs no thread. It reads /etc/hosts and the search
 * domains of resolv.conf. Elsewhere the system has a lookup of its own.
 */
export async function lookUpHost(hostname: string): Promise<readonly HostAddress[]> {
  if (process.platform !== "linux") return askSystem(hostname);
  useCurrentServers();
  try {
    return await Bun.dns.lookup(hostname, { backend: "c-ares" });
  } catch (error) {
    if (!isUnknown(error)) throw error;
    // The DNS server does answer, so this is quick. Only the system knows other ways, such as mDNS.
    return askSystemInTurn(hostname);
  }
}

/**
 * A fetch in which a name whose DNS server is silent takes no thread of the pool either. A proxy looks names up
 * itself.
 */
export const fetchFound: Fetch = async (url, init) => {
  const { hostname } = new URL(url);
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  if (process.platform === "linux" && !isAddress && !hasProxy()) await becomesKnown(hostname, init.signal);
  return fetch(url, init);
};

/** Rejects if no server answers. A name that is not known is left to fetch. */
async function becomesKnown(hostname: string, signal: AbortSignal | null | undefined): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted === true) abort();
  useCurrentServers();
  try {
    await Promise.race([Bun.dns.lookup(hostname, { backend: "c-ares" }), aborted.promise]);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (!isUnknown(error))
      throw new Error(`the name ${hostname} cannot be looked up now: ${withCode(error)}`, { cause: error });
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function hasProxy(): boolean {
  return ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"].some((name) => process.env[name]);
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^DNS_(?:ENOTFOUND|ENODATA)$/.test(String(error.code));
}

function askSystem(hostname: string): Promise<readonly HostAddress[]> {
  return process.getBuiltinModule("node:dns/promises").lookup(hostname, { all: true, order: "verbatim" });
}

let turn: Promise<unknown> = Promise.resolve();
const asked = new Map<string, Promise<readonly HostAddress[]>>();

/** One at a time in the whole process, so that a thread is left for the fsync. */
function askSystemInTurn(hostname: string): Promise<readonly HostAddress[]> {
  const pending = asked.get(hostname);
  if (pending !== undefined) return pending;
  const answer = turn.then(() => askSystem(hostname)).finally(() => asked.delete(hostname));
  turn = answer.catch(() => {});
  asked.set(hostname, answer);
  return answer;
}

/** Those that c-ares uses. */
let servers: string | undefined;

/**
 * c-ares reads resolv.conf once. The file changes with a VPN or another network, and is empty if hookonce starts
 * before the network is up.
 */
function useCurrentServers(): void {
  const current = serversIn(readResolvConf());
  if (servers !== undefined && servers !== current)
    process.getBuiltinModule("node:dns").setServers(current.split(" "));
  servers = current;
}

function readResolvConf(): string {
  try {
    return readFileSync(RESOLV_CONF, "utf8");
  } catch {
    return "";
  }
}

/** Without a server, the system asks this machine. https://man7.org/linux/man-pages/man5/resolv.conf.5.html */
function serversIn(text: string): string {
  const found = Array.from(text.matchAll(/^nameserver\s+(\S+)/gmu), ([, address]) => address);
  return found.length === 0 ? "127.0.0.1" : found.join(" ");
}
