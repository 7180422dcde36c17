import { HookonceError, messageOf } from "../../errors.ts";
import { isLoopbackHost } from "../../config/address.ts";
import { ACTOR_HEADER, createAdminClient, type AdminClient } from "./socket.ts";

/** How long to wait until an answer begins, in milliseconds. A stream then goes on. */
const ANSWER_MS = 30_000;

/** Only so much of an answer that is not the API's is read. */
const MAX_READ = 64 * 1024;

/**
 * Why a URL cannot be that of a `serve` elsewhere; undefined if it can. With the URL goes a token, which only TLS
 * hides on the way.
 */
export function remoteProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    return "Write a full URL that starts with https://, as in https://hooks.example.com.";
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    return "Write only the address of the page, without a user, a password or a query. The token comes from HOOKONCE_TOKEN in the environment.";
  if (url.protocol === "http:" && !isThisMachine(url))
    return "The token could be read on the way: write https://, or use a tunnel, such as ssh -L 8788:127.0.0.1:8788 HOST and http://127.0.0.1:8788.";
  return undefined;
}

/**
 * Makes the client of a `serve` that is reached over HTTP. It follows no redirect, so the token goes to no other
 * host. The client throws `serve_unreachable` if nobody answers there, or somebody else does.
 *
 * @param base without a problem (see {@link remoteProblem})
 */
export function createRemoteClient(base: string, token: string): AdminClient {
  const url = new URL(base);
  const { origin, pathname } = url;
  const prefix = origin + pathname.replace(/\/$/, "");
  // A proxy of the environment would see what is sent to this machine itself.
  const session = new Bun.FetchSession(isThisMachine(url) ? { proxy: false } : {});
  return createAdminClient(async (request) => {
    const { pathname: path, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.delete(ACTOR_HEADER);
    headers.set("authorization", `Bearer ${token}`);
    const body = request.body === null ? undefined : await request.text();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ANSWER_MS);
    const signal = AbortSignal.any([request.signal, late.signal]);
    let response: Response;
    try {
      response = await session.fetch(`${prefix}${path}${search}`, {
        method: request.method,
        headers,
        redirect: "manual",
        signal,
        ...(body === undefined ? {} : { body }),
      });
    } catch (error) {
      if (request.signal.aborted) throw error;
      const why = late.signal.aborted ? `no answer within ${ANSWER_MS / 1000} s` : messageOf(error);
      throw unreachable(`${origin} cannot be reached: ${why}`);
    } finally {
      clearTimeout(timer);
    }
    await refuseOthers(response, base);
    return response;
  });
}

/** @throws HookonceError if the answer is not one of the API */
async function refuseOthers(response: Response, base: string): Promise<void> {
  const { status, headers } = response;
  if (status >= 300 && status < 400) {
    const to = headers.get("location") ?? "elsewhere";
    const target = URL.canParse(to, base) ? new URL(to, base).origin : "elsewhere";
    throw new HookonceError(
      "invalid_request",
      `${base} redirects to ${target}, which the token must not follow: write the final address.`,
    );
  }
  if (response.ok || (headers.get("content-type") ?? "").includes("json")) return;
  const text = await response.text().catch(() => "");
  const words = text.slice(0, MAX_READ).split("\n", 1)[0]?.slice(0, 100) ?? "";
  // A proxy in front of it answers while the process restarts.
  if (status >= 500) throw unreachable(`${base} answered ${status}`);
  throw new HookonceError(
    "not_found",
    `${base} answered ${status} ${words}. That is not the page of a hookonce serve: write the address of [admin], not that of the webhooks.`,
  );
}

function isThisMachine({ hostname }: URL): boolean {
  return isLoopbackHost(hostname.replace(/^\[|\]$/g, ""));
}

function unreachable(message: string): HookonceError {
  return new HookonceError("serve_unreachable", message);
}
