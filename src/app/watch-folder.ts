import { readdirSync, statSync, watch, type FSWatcher } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CONFIG_FILE } from "../config/load.ts";
import { messageOf } from "../errors.ts";
import { userModules } from "../handlers/user-modules.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Reload } from "./reload.ts";
import type { Services } from "./services.ts";

/** How long the files must stay as they are before they are loaded, in milliseconds. Some editors write in steps. */
const SETTLED_MS = 100;

/** A path, and what tells that the file has changed. */
type State = ReadonlyMap<string, string>;

/**
 * Reloads when somebody saves a file that `serve --dev` has loaded: the config, `.env`, secrets, handlers, what they
 * import, migrations. The system reports changes in their folders, so nothing is polled, and editors that replace a
 * file are noticed as well.
 */
export async function startWatchingFolder(
  services: Services,
  { live }: Pick<Inbox, "live">,
  { reload, log }: Pick<OpenInboxOptions, "log"> & { readonly reload: Reload },
): Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const watchers = new Map<string, FSWatcher>();
  let changed = Promise.withResolvers<void>();

  const look = (): State => stateOf(filesOf(live().config.inboxFolder, live().config.secretFiles));

  function watchFolders(state: State): void {
    const folders = new Set(Array.from(state.keys(), (path) => dirname(path)));
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
    for (const folder of folders) {
      if (watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => changed.resolve());
        // Its folder was removed. The folder above it reports that.
        watcher.on("error", () => watcher.close());
        watchers.set(folder, watcher);
      } catch (error) {
        if (statSync(folder, { throwIfNoEntry: false }) !== undefined)
          log.warn({ folder, cause: messageOf(error) }, "changes in this folder are not noticed");
      }
    }
  }

  async function untilStop(): Promise<void> {
    let loaded = look();
    watchFolders(loaded);
    while (!signal.aborted) {
      await Promise.race([changed.promise, aborted]);
      changed = Promise.withResolvers();
      let seen = look();
      while (!isEqual(seen, loaded) && (await passed(SETTLED_MS, signal))) {
        const now = look();
        if (isEqual(now, seen)) {
          loaded = seen;
          // The log says what was loaded, or why it was refused.
          await reload({ actor: "serve --dev", dropped: [] }).catch(() => {});
        }
        seen = look();
      }
      watchFolders(seen);
    }
  }

  const aborted = new Promise<void>((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
  const ended = untilStop();
  await services.start(() => ({
    name: "watching the folder",
    async stop() {
      stopping.abort();
      await ended;
      for (const watcher of watchers.values()) watcher.close();
    },
  }));
}

function isEqual(one: State, other: State): boolean {
  return one.size === other.size && [...one].every(([path, state]) => other.get(path) === state);
}

/** What is loaded, and what a reload would load. Folders are listed, so that a new file is noticed. */
function filesOf(folder: string, secretFiles: readonly string[]): Set<string> {
  const files = new Set([CONFIG_FILE, ".env", ...secretFiles].map((path) => resolve(folder, path)));
  for (const path of userModules(folder)) if (!path.includes("/node_modules/")) files.add(path);
  for (const name of ["handlers", "migrations"]) addTree(join(folder, name), files);
  return files;
}

/** Folders of which nothing runs. */
const LEFT_OUT = new Set(["node_modules", "fixtures"]);

function addTree(folder: string, files: Set<string>): void {
  files.add(folder);
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return; // it does not exist, or was removed meanwhile
  }
  for (const entry of entries) {
    const { name } = entry;
    if (name.startsWith(".") || LEFT_OUT.has(name)) continue;
    const path = join(folder, name);
    if (entry.isDirectory()) addTree(path, files);
    else if (!/\.(?:test|d)\.ts$|~$|\.sw[a-z]$/.test(name)) files.add(path);
  }
}

function stateOf(files: ReadonlySet<string>): State {
  return new Map(
    Array.from(files, (path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      // Of a folder only whether it is there: its files are listed.
      const state =
        found?.isFile() === true
          ? `${found.mtimeMs} ${found.size} ${found.ino}`
          : String(found !== undefined);
      return [path, state];
    }),
  );
}
