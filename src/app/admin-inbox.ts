import type { Handlers } from "../engines/engine.ts";
import type { Reader } from "../engines/reader.ts";
import { nameOf } from "../config/location.ts";
import { HookonceError, messageOf, stackOf } from "../errors.ts";
import type { AdminInbox, DescribedSource } from "../http/admin/inbox.ts";
import { pathsOf } from "../http/paths.ts";
import { createRefusedRing } from "../http/refused.ts";
import { fileFor } from "../handlers/look-up.ts";
import type { BackgroundJobs } from "../inbox/background-jobs.ts";
import { visibleLines } from "../logging/visible.ts";
import type { Source } from "../providers/source.ts";
import { whyNotHeld } from "./held-replies.ts";
import type { Loaded } from "./live.ts";
import { byStoredName } from "./source-rules.ts";
import { storeOf } from "./store.ts";
import { writeFixture } from "./write-fixture.ts";

/** What is shown of what is loaded. */
type Shown = Pick<Loaded, "config" | "sources"> & { readonly handlers: Pick<Handlers, "files"> };

/** What every inbox has that the API shows. */
export interface AdminParts extends Partial<
  Omit<
    AdminInbox,
    "sources" | "destinations" | "described" | "handlerOf" | "disk" | "retention" | "whyNotHeld"
  >
> {
  readonly live: () => Shown;
  readonly reader: () => Promise<Reader>;
  readonly jobs: BackgroundJobs;
}

/** Builds what the API shows. What is left out is as in an inbox that nobody serves. */
export function createAdminInbox({ live, ...parts }: AdminParts): AdminInbox {
  const serving = parts.serving ?? null;
  const byName = (): ReadonlyMap<string, Source> => byStoredName(live().sources, live().config);
  return {
    received: () => 0,
    refused: createRefusedRing(),
    verdictOf: () => Promise.resolve(undefined),
    tryHandler: refuse,
    reload: refuse,
    record: refuse,
    // Of a command: this is its own process.
    onError: (error) => void process.stderr.write(`${visibleLines(stackOf(error) ?? messageOf(error))}\n`),
    health: () => Promise.resolve({ ready: true, error: null, warnings: [] }),
    recentMatches: () => [],
    shownSecrets: () => [],
    outdated: () => [],
    clock: Date.now,
    stopping: new AbortController().signal,
    outbox: null,
    measured: null,
    pausing: null,
    ...parts,
    serving,
    get destinations() {
      return live().config.destinations;
    },
    get sources() {
      return byName();
    },
    whyNotHeld(name) {
      const source = live().sources.get(name);
      return source === undefined ? undefined : whyNotHeld(source);
    },
    described: () => describe(live(), serving?.url ?? ""),
    handlerOf(source, type) {
      const folder = byName().get(source)?.handlersOf;
      const names = live().handlers.files.map(({ file }) => file);
      return folder === undefined ? null : fileFor(names, folder, type);
    },
    saveFixture(source, type, json) {
      const handlersOf = byName().get(source)?.handlersOf;
      if (handlersOf !== undefined) return writeFixture(live().config.inboxFolder, handlersOf, type, json);
      throw new HookonceError("unknown_source", `hookonce.toml has no source "${source}" any more.`);
    },
    get retention() {
      return live().config.retention;
    },
    async disk() {
      const { database } = live().config;
      return { database: nameOf(database), ...(await (await storeOf(database)).diskUse()) };
    },
  };
}

function refuse(): Promise<never> {
  const why = "hookonce serve is not running, and this change needs it. Start it first.";
  return Promise.reject(new HookonceError("not_serving", why));
}

function describe({ config, sources, handlers: { files } }: Shown, url: string): DescribedSource[] {
  return [...sources.values()].map((source) => ({
    name: source.name,
    provider: source.provider.name,
    title: source.provider.title,
    docs: source.provider.docs,
    url: `${url}${pathsOf(source)[0]}`,
    typePlace: source.typePlace ?? null,
    handlers: files.filter((one) => one.source === source.handlersOf).map(({ file }) => file),
    secrets: config.sources.find(({ name }) => name === source.name)?.secretNames ?? [],
  }));
}
