import type {
  AuditJson,
  ErrorJson,
  EventDetail,
  EventList,
  FailureGroupList,
  FailureJson,
  List,
  MessageDetail,
  MessageJson,
  NewTokenJson,
  RefusedJson,
  ReloadedJson,
  ReloadRefusedJson,
  RollupJson,
  Scope,
  SessionJson,
  StatusJson,
  TokenJson,
} from "../../http/admin/shapes.ts";
import type { JobJson } from "../../http/admin/job-shapes.ts";
import type { Act, JobTarget } from "./jobs.ts";
import type { TryJson } from "../../http/admin/try-shapes.ts";
import type { ApiFilter, MessageFilter } from "./query.ts";

/** What the API refused, or why it could not be reached. */
export class ApiError extends Error {
  constructor(
    /** 0 if there was no answer. */
    readonly status: number,
    readonly code: string,
    message: string,
    /** The whole error. */
    readonly body?: unknown,
  ) {
    super(message);
  }
}

/** How many lines of the audit list are read at once. */
const AUDIT_PAGE = 20;

type Query = Readonly<Record<string, string | number | undefined>>;

function pathWith(path: string, query: Query): string {
  const given = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)]],
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method };
  if (signal !== undefined) init.signal = signal;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (signal?.aborted === true) throw cause;
    throw new ApiError(0, "unreachable", "hookonce does not answer. Is hookonce serve running?");
  }
  if (response.ok) return response;
  const { error } = await response
    .json()
    .then((json) => json as ErrorJson)
    .catch(() => ({ error: { code: "internal", message: `The answer was ${response.status}.` } }));
  throw new ApiError(response.status, error.code, error.message, error);
}

async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return readJson(await (await send("GET", pathWith(path, query), undefined, signal)).text()) as T;
}

async function post<T>(path: string, body: unknown): Promise<T> {
  return (await (await send("POST", path, body)).json()) as T;
}

/** Keeps integers that a number cannot hold digit for digit, such as the 64-bit ids of some providers. */
function readJson(text: string): unknown {
  return JSON.parse(text, exactly);
}

/** Old browsers do not pass the context. There, such an integer is shown rounded. */
function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source ?? "";
  return typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
    ? BigInt(source)
    : value;
}

export interface JobRequest {
  readonly action: Act["action"];
  readonly target: JobTarget;
  readonly to: string | undefined;
  readonly dryRun: boolean;
  readonly rate: number | undefined;
  readonly reason: string;
}

/** How a source is paused. Empty texts are left out. */
export interface Pause {
  readonly refuse: boolean;
  /** A duration, such as `2h`. */
  readonly for: string;
  readonly reason: string;
}

export type ReloadResult = ReloadedJson | ReloadRefusedJson["error"];

const setSource = (name: string, change: object) =>
  send("PUT", `/api/sources/${encodeURIComponent(name)}/state`, change);

export const api = {
  login: (token: string) => post<SessionJson>("/api/session", { token }),
  logout: () => send("DELETE", "/api/session"),
  status: () => get<StatusJson>("/api/status"),
  events: (filter: ApiFilter, cursor: string | null, signal: AbortSignal) =>
    get<EventList>("/api/events", { ...filter, cursor: cursor ?? undefined }, signal),
  event: (source: string, id: string) => get<EventDetail>("/api/event", { source, event_id: id }),
  rawPath: (source: string, id: string, which: "first" | "changed" = "first") =>
    pathWith("/api/event/raw", { source, event_id: id, which }),
  raw: async (source: string, id: string) => (await send("GET", api.rawPath(source, id))).text(),
  failureGroups: (limit: number) => get<FailureGroupList>("/api/failures", { group: "handler", limit }),
  failures: (source: string, cursor: string | null) =>
    get<List<FailureJson>>("/api/failures", {
      group: "none",
      source,
      limit: 500,
      cursor: cursor ?? undefined,
    }),
  /** Reads pages until there are enough: one may hold fewer than asked for, and not be the last. */
  async messages({ limit, ...filter }: MessageFilter & { readonly limit: number }) {
    let page: List<MessageJson> = { items: [], next: null };
    do {
      const query = { ...filter, limit: limit - page.items.length, cursor: page.next ?? undefined };
      const { items, next } = await get<List<MessageJson>>("/api/messages", query);
      page = { items: [...page.items, ...items], next };
    } while (page.next !== null && page.items.length < limit);
    return page;
  },
  message: (id: string, destination: string | undefined) =>
    get<MessageDetail>(`/api/messages/${encodeURIComponent(id)}`, { destination }),
  setDestination: (name: string, state: "open" | "paused") =>
    send("PUT", `/api/destinations/${encodeURIComponent(name)}/state`, { state }),
  resumeSource: (name: string, stopOnFailure: boolean) =>
    setSource(name, { state: "open", ...(stopOnFailure ? { stop_on_failure: true } : {}) }),
  pauseSource: (name: string, { refuse, reason, for: time }: Pause) =>
    setSource(name, {
      state: refuse ? "refusing" : "held",
      ...(reason.trim() === "" ? {} : { reason: reason.trim() }),
      ...(time.trim() === "" ? {} : { for: time.trim() }),
    }),
  /** What is refused is a result, too: it lists what to correct. */
  reload: async (): Promise<ReloadResult> => {
    try {
      return await post<ReloadedJson>("/api/reload", {});
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "reload_refused") throw error;
      return error.body as ReloadRefusedJson["error"];
    }
  },
  refused: (source: string) => get<List<RefusedJson>>("/api/refused", { source }),
  verdict: async (source: string, id: number) => {
    const { items } = await get<List<RefusedJson>>("/api/refused", { source, id, verdict: "true" });
    return items[0];
  },
  rollups: (by: "minute" | "hour", since: number) =>
    get<List<RollupJson>>("/api/rollups", { by, since: Math.max(0, Math.floor(since)) }),
  tokens: () => get<List<TokenJson>>("/api/tokens"),
  createToken: (name: string, scopes: readonly Scope[], expiresAt: number | null) =>
    post<NewTokenJson>("/api/tokens", { name, scopes, expires_at: expiresAt }),
  revokeToken: (name: string) => send("DELETE", `/api/tokens/${encodeURIComponent(name)}`),
  audit: (cursor: string | null) =>
    get<List<AuditJson>>("/api/audit", { cursor: cursor ?? undefined, limit: AUDIT_PAGE }),
  /** @returns the file, relative to the inbox folder */
  saveFixture: (source: string, id: string, redact: readonly string[]) =>
    post<{ readonly file: string }>("/api/fixtures", { source, event_id: id, redact }),
  startJob: ({ action, target, to, dryRun, rate, reason }: JobRequest) =>
    post<{ readonly id: string }>("/api/jobs", {
      action,
      ...("ids" in target
        ? {
            ids: target.ids,
            filter: { source: target.source, destination: target.destination },
          }
        : { filter: target.filter }),
      ...(to === undefined ? {} : { to }),
      dry_run: dryRun,
      ...(rate === undefined ? {} : { rate }),
      ...(reason === "" ? {} : { reason }),
    }),
  jobs: () => get<List<JobJson>>("/api/jobs"),
  job: (id: string) => get<JobJson>(`/api/jobs/${encodeURIComponent(id)}`),
  stopJob: (id: string) => send("DELETE", `/api/jobs/${encodeURIComponent(id)}`),
  tryEvent: (source: string, id: string) => post<TryJson>("/api/try", { source, event_id: id }),
  streamPath: (filter: ApiFilter) => pathWith("/api/stream", { ...filter }),
};
