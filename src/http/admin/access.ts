import { isLoopbackHost } from "../../config/address.ts";
import { HookonceError } from "../../errors.ts";
import type { Scope } from "./shapes.ts";

/** Who asks. */
export interface Actor {
  /** The name of a token, or of the user who runs a command on this machine. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Until when it may ask, in Unix milliseconds. Null if there is no limit. */
  readonly expiresAt: number | null;
}

/** A token as it is stored. */
export interface StoredToken extends Actor {
  /** SHA-256 of the token, in hex. The token itself is 256 random bits, so a fast hash is enough. */
  readonly hash: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

export interface AccessOptions {
  /** Finds a token by its hash. Asked with every request, so a token that is revoked ends its sessions at once. */
  readonly tokenOf: (hash: string) => Promise<StoredToken | undefined>;
  /** Where a proxy publishes the page: `[admin] url`, which a reload may change. */
  readonly url: () => string | null;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** Decides who may use the API over HTTP. */
export interface Access {
  /**
   * Refuses a name that is not ours. Without this, a page on another site could make its own name point to
   * 127.0.0.1 and then read the answers (DNS rebinding).
   *
   * @throws HookonceError `host_refused`
   */
  checkHost(request: Request): void;
  /**
   * Refuses a write that another site sends with the user's cookie.
   *
   * @throws HookonceError `origin_refused`
   */
  checkOrigin(request: Request): void;
  /** @throws HookonceError `unauthenticated`, `too_many_attempts` */
  actorOf(request: Request, peer: string): Promise<Actor>;
  /**
   * Logs in with a token.
   *
   * @throws HookonceError `unauthenticated`, `too_many_attempts`
   */
  login(token: string, peer: string): Promise<{ readonly token: StoredToken; readonly cookie: string }>;
  /** Ends the session of a request. @returns the cookie that removes the old one */
  logout(request: Request): string;
}

/** A session ends after this time at the latest, in milliseconds. */
const SESSION_MS = 7 * 86_400_000;

/** Each further login ends the oldest session. */
const MAX_SESSIONS = 1000;

interface Session {
  readonly tokenHash: string;
  readonly endsAt: number;
}

/**
 * Sessions are in memory: a restart ends them. The cookie is a random number, and neither the token nor its
 * hash leaves the process.
 */
export function createAccess({ tokenOf, url, clock }: AccessOptions): Access {
  const sessions = new Map<string, Session>();
  const attempts = createAttempts(clock);
  const isSecure = (): boolean => url()?.startsWith("https:") === true;
  // Browsers accept the prefix only with Secure, and then no other host can set the cookie.
  const cookieName = (): string => (isSecure() ? "__Host-hookonce" : "hookonce");
  const attributes = (): string => `Path=/; HttpOnly; SameSite=Strict${isSecure() ? "; Secure" : ""}`;

  function publishedHost(): string | undefined {
    const published = url();
    return published === null ? undefined : new URL(published).host;
  }

  async function tokenWith(hash: string): Promise<StoredToken | undefined> {
    const token = await tokenOf(hash);
    if (token === undefined || token.revokedAt !== null) return undefined;
    return token.expiresAt !== null && token.expiresAt <= clock() ? undefined : token;
  }

  async function tokenNamed(given: string, peer: string): Promise<StoredToken> {
    const token = await tokenWith(hashOf(given));
    // A right token is never made to wait: behind a proxy, all have the same peer, and anyone could keep the
    // owner out.
    if (token !== undefined) return token;
    attempts.check(peer);
    attempts.failed(peer);
    throw unauthenticated("This token is unknown, revoked or expired.");
  }

  function sessionId(request: Request): string | undefined {
    const value = cookieOf(request, cookieName());
    return value === undefined ? undefined : hashOf(value);
  }

  return {
    checkHost(request) {
      const host = request.headers.get("host") ?? "";
      if (isLoopbackHost(hostnameOf(host)) || host.toLowerCase() === publishedHost()) return;
      throw new HookonceError(
        "host_refused",
        'The page is not published under this name. If a proxy publishes it, set url under [admin] in hookonce.toml to its address, as in url = "https://hooks.example.com".',
      );
    },
    checkOrigin(request) {
      if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return;
      const origin = request.headers.get("origin");
      const site = request.headers.get("sec-fetch-site");
      const host = request.headers.get("host") ?? "";
      // Every browser sends Origin with a write. A client that sends neither header is no browser, and has no
      // cookie that somebody else could use.
      const hasCookie = cookieOf(request, cookieName()) !== undefined;
      const isOwn =
        origin === null
          ? !hasCookie || site === "same-origin"
          : origin === url() || (origin === `http://${host}` && isLoopbackHost(hostnameOf(host)));
      if (isOwn && (site === null || site === "same-origin")) return;
      throw new HookonceError(
        "origin_refused",
        `Requests from ${origin ?? "another site"} may not change anything here. If a proxy publishes the page there, set url under [admin] in hookonce.toml.`,
      );
    },
    async actorOf(request, peer) {
      const authorization = request.headers.get("authorization");
      if (authorization !== null) {
        const bearer = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
        if (bearer === undefined) throw unauthenticated("Send Authorization: Bearer TOKEN.");
        return actorIn(await tokenNamed(bearer, peer));
      }
      const id = sessionId(request);
      const session = id === undefined ? undefined : sessions.get(id);
      if (id === undefined || session === undefined)
        throw unauthenticated(
          "Log in, or send Authorization: Bearer TOKEN. To make a token: hookonce token create --name NAME",
        );
      const token = session.endsAt <= clock() ? undefined : await tokenWith(session.tokenHash);
      if (token !== undefined) return actorIn(token);
      sessions.delete(id);
      throw unauthenticated("The session has ended, or its token was revoked or has expired. Log in again.");
    },
    async login(given, peer) {
      const token = await tokenNamed(given, peer);
      const value = randomToken();
      const [oldest] = sessions.keys();
      if (sessions.size >= MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest);
      const endsAt = Math.min(clock() + SESSION_MS, token.expiresAt ?? Infinity);
      sessions.set(hashOf(value), { tokenHash: token.hash, endsAt });
      const seconds = Math.floor((endsAt - clock()) / 1000);
      return { token, cookie: `${cookieName()}=${value}; ${attributes()}; Max-Age=${seconds}` };
    },
    logout(request) {
      const id = sessionId(request);
      if (id !== undefined) sessions.delete(id);
      return `${cookieName()}=; ${attributes()}; Max-Age=0`;
    },
  };
}

/** How many wrong tokens a peer may send before it has to wait. */
const FREE_ATTEMPTS = 5;

/** The longest wait between two attempts, in milliseconds. */
const MAX_WAIT_MS = 60_000;

/** How long wrong tokens are remembered, in milliseconds. */
const FORGET_MS = 15 * 60_000;

/** Peers that are remembered. */
const MAX_PEERS = 1000;

/**
 * Slows down a peer that sends wrong tokens. After five of them, each wrong one must wait: 1 s at first, and a
 * minute at most. A peer that has sent none for a while begins again.
 */
function createAttempts(clock: () => number) {
  const peers = new Map<string, { wrong: number; waitUntil: number }>();
  return {
    check(peer: string): void {
      const wait = (peers.get(peer)?.waitUntil ?? 0) - clock();
      if (wait <= 0) return;
      const seconds = Math.ceil(wait / 1000);
      throw new HookonceError("too_many_attempts", `Too many wrong tokens. Try again in ${seconds} s.`);
    },
    failed(peer: string): void {
      const before = peers.get(peer);
      const isForgotten = before === undefined || before.waitUntil + FORGET_MS < clock();
      const wrong = (isForgotten ? 0 : before.wrong) + 1;
      const waitMs = wrong < FREE_ATTEMPTS ? 0 : Math.min(1000 * 2 ** (wrong - FREE_ATTEMPTS), MAX_WAIT_MS);
      // Moves it to the end, so that the first one is the longest unused.
      peers.delete(peer);
      peers.set(peer, { wrong, waitUntil: clock() + waitMs });
      const [oldest] = peers.keys();
      if (peers.size > MAX_PEERS && oldest !== undefined) peers.delete(oldest);
    },
  };
}

function actorIn({ name, scopes, expiresAt }: StoredToken): Actor {
  return { name, scopes, expiresAt };
}

/** @throws HookonceError `scope_missing` */
export function requireScope({ name, scopes }: Actor, scope: Scope): void {
  if (scopes.includes(scope)) return;
  throw new HookonceError(
    "scope_missing",
    `The token "${name}" may only ${scopes.join(" and ")}. This needs the scope ${scope}: hookonce token create --name NAME --scopes read,${scope}`,
  );
}

/**
 * @param until Unix milliseconds; null: for ever
 * @throws HookonceError `invalid_request`
 */
export function requireTime({ name, expiresAt }: Actor, until: number | null): void {
  if (expiresAt === null || (until !== null && until <= expiresAt)) return;
  throw new HookonceError(
    "invalid_request",
    `The request is invalid: the token "${name}" expires at ${new Date(expiresAt).toISOString()}, and cannot make one that is valid for longer. Set expires_at to ${expiresAt} or earlier.`,
  );
}

/** 256 random bits in base64url: 43 characters of A–Z a–z 0–9 _ -. */
export function randomToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
}

/** SHA-256 in hex. */
export function hashOf(token: string): string {
  return new Bun.CryptoHasher("sha256").update(token).digest("hex");
}

function unauthenticated(message: string): HookonceError {
  return new HookonceError("unauthenticated", message);
}

/** The host of a Host header, without its port. */
function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

function cookieOf(request: Request, name: string): string | undefined {
  const cookies = (request.headers.get("cookie") ?? "").split(";").map((one) => one.trim());
  const value = cookies.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  return value === "" ? undefined : value;
}
