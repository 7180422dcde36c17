import { check, type CheckOptions } from "../app/check.ts";
import {
  createReceiver,
  openInbox,
  type Inbox,
  type OpenInboxOptions,
  type Receiver,
} from "../app/open-inbox.ts";
import { createServices, type Services } from "../app/services.ts";
import type { Config } from "../config/load.ts";
import { HookonceError, type Problem } from "../errors.ts";
import type { Source } from "../providers/source.ts";

/** An inbox that was opened as `serve` opens it, without a socket. */
export interface OpenedInbox {
  readonly services: Services;
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
  readonly inbox: Inbox;
}

/**
 * Checks an inbox folder and opens its inbox, as a start of `serve` does.
 *
 * @throws HookonceError with every problem for which a start is refused
 */
export async function openFolder(
  folder: string,
  checked: CheckOptions,
  open: Omit<OpenInboxOptions, "config" | "sources" | "handlers" | "clock">,
): Promise<OpenedInbox> {
  const { config, sources, handlers, problems, code } = await check(folder, checked);
  if (config === null || problems.length > 0)
    throw new HookonceError(code, problems.map(withPlace).join("\n"), { problems });
  const services = createServices();
  const database = checked.database ?? config.database;
  const used = { ...config, database };
  const inbox = await openInbox(services, {
    ...open,
    config: used,
    sources,
    handlers,
    clock: checked.clock,
    lockWaitMs: open.lockWaitMs ?? 0,
  });
  return { services, config: used, sources, inbox };
}

/** As `hookonce check` prints it. */
function withPlace({ file, line, message }: Problem): string {
  if (file === undefined) return message;
  return line === undefined ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

export { createReceiver, type Receiver };

/** Sends a request to a receiver without a socket. By default it comes from this machine. */
export async function requestTo(
  { routes }: Receiver,
  path: string,
  init: RequestInit = {},
  remoteAddress = "127.0.0.1",
): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("host")) headers.set("host", "localhost");
  if (typeof init.body === "string") headers.set("content-length", String(Buffer.byteLength(init.body)));
  return routes().request(path, { ...init, headers }, { remoteAddress: () => remoteAddress });
}
