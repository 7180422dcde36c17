import { zValidator } from "@hono/zod-validator";
import { Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HookonceError } from "../../errors.ts";
import { answerError } from "../answers.ts";
import type { Access, Actor } from "./access.ts";
import type { DashboardFile, DashboardFiles } from "./files.ts";
import { limitJson } from "./json-size.ts";
import { sessionRequest } from "./requests.ts";
import type { AdminApp } from "./routes.ts";
import { asRefusal, refuseRequest, type AdminEnv } from "./routing.ts";
import type { SessionJson } from "./shapes.ts";
import { ACTOR_HEADER } from "./socket.ts";

/**
 * The page may load only its own files, and no other page may embed it. There is no `unsafe-inline` and no
 * `unsafe-eval`, so a payload that became markup by mistake would still do nothing.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** A login carries only a token of 43 characters. */
const MAX_LOGIN_BYTES = 4096;

const METRICS = "/metrics";

/** A year, in seconds. */
const IMMUTABLE = "public, max-age=31536000, immutable";

/** The page, and the API for requests that come over HTTP. */
export function createListenerApp({
  admin,
  access,
  files,
}: {
  readonly admin: AdminApp;
  readonly access: Access;
  /** Read at the first request, so that a start does not wait for it. */
  readonly files: () => Promise<DashboardFiles>;
}) {
  const authenticated: MiddlewareHandler<AdminEnv> = async (c, next) => {
    const actor = (): Promise<Actor> => access.actorOf(c.req.raw, c.env.peer);
    c.set("actor", await actor());
    c.set("stillAllowed", actor);
    await next();
  };
  return (
    new Hono<AdminEnv>()
      .use(async (c, next) => {
        await next();
        for (const [name, value] of Object.entries(SECURITY_HEADERS)) c.res.headers.set(name, value);
        if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
      })
      .use(async (c, next) => {
        // Prometheus may know this machine by any name. Without a token, it is answered nothing.
        if (c.req.path !== METRICS) access.checkHost(c.req.raw);
        access.checkOrigin(c.req.raw);
        await next();
      })
      // Anyone may send this one. The others are read only after it is known who asks.
      .use("/api/session", bodyLimit({ maxSize: MAX_LOGIN_BYTES, onError: () => answerError(tooLarge()) }))
      .post("/api/session", zValidator("json", sessionRequest, refuseRequest), async (c) => {
        const { token, cookie } = await access.login(c.req.valid("json").token, c.env.peer);
        c.header("set-cookie", cookie);
        const { name, scopes, expiresAt } = token;
        return c.json({ name, scopes, expires_at: expiresAt } satisfies SessionJson);
      })
      .delete("/api/session", (c) => {
        c.header("set-cookie", access.logout(c.req.raw));
        return c.json({ status: "ended" });
      })
      .use("/api/*", authenticated, limitJson)
      .use(METRICS, authenticated)
      .route("/", admin)
      .get("*", async (c) => {
        const all = await files();
        // The page has a path for each of its views. Only its files have a dot in their names.
        const { path } = c.req;
        const file = all.get(path) ?? (/^\/[\w-]*$/.test(path) ? all.get("/") : undefined);
        if (file === undefined) throw nothingHere();
        return answerFile(file, c.req.raw.headers);
      })
      .notFound(() => answerError(nothingHere()))
      .onError((error) => answerError(asRefusal(error)))
  );
}

/** The API and the page's own routes, for the page's client. */
export type ListenerApp = ReturnType<typeof createListenerApp>;

function answerFile({ type, bytes, gzip, etag, immutable }: DashboardFile, request: Headers): Response {
  const kept = { etag, vary: "accept-encoding", "cache-control": immutable ? IMMUTABLE : "no-cache" };
  if (request.get("if-none-match")?.includes(etag) === true)
    return new Response(null, { status: 304, headers: kept });
  const packed = gzip !== null && /\bgzip\b/.test(request.get("accept-encoding") ?? "");
  return new Response(packed ? gzip : bytes, {
    headers: {
      ...kept,
      "content-type": type,
      ...(packed ? { "content-encoding": "gzip" } : {}),
    },
  });
}

function tooLarge(): HookonceError {
  return new HookonceError("invalid_request", `A login has at most ${MAX_LOGIN_BYTES} bytes.`);
}

function nothingHere(): HookonceError {
  return new HookonceError("not_found", "There is nothing at this path.");
}

/** The API for commands of the socket's owner, who may do everything. */
export function createSocketApp(admin: AdminApp): Hono<AdminEnv> {
  return new Hono<AdminEnv>()
    .use(async (c, next) => {
      c.set("actor", ownerNamed(c.req.header(ACTOR_HEADER)));
      c.set("stillAllowed", () => Promise.resolve());
      await next();
    })
    .route("/", admin)
    .notFound(() => answerError(nothingHere()))
    .onError((error) => answerError(error));
}

function ownerNamed(name: string | undefined): Actor {
  return {
    name: name === undefined || name === "" ? "unknown" : name,
    scopes: ["read", "steer", "forget"],
    expiresAt: null,
  };
}
