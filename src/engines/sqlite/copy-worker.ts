import { freeBytes } from "./disk-space.ts";
import { openToRead } from "./leftover-log.ts";
import { makePrivateFile } from "./private-file.ts";
import { readPragma } from "./open.ts";

/** The code of the thread that copies a database (copy.ts): VACUUM INTO blocks the thread that runs it. */

declare const self: Worker;

export interface CopyOrder {
  readonly database: string;
  readonly copy: string;
  readonly room: number;
}

/** First the expected size, then the end. */
export type CopyReport =
  | { readonly bytes: number }
  | { readonly ended: true; readonly error?: { readonly message: string; readonly code: string } };

self.addEventListener("message", ({ data }: MessageEvent<CopyOrder>) => {
  try {
    copy(data);
    self.postMessage({ ended: true } satisfies CopyReport);
  } catch (error) {
    const { message, code = "" } = error as Error & { code?: string };
    self.postMessage({ ended: true, error: { message, code } } satisfies CopyReport);
  }
});

/**
 * The copy is one read transaction, so it holds what was committed at one moment. The log grows meanwhile, by what is
 * written in that time. The online backup of SQLite would begin again at each commit of another process.
 */
function copy({ database, copy: path, room }: CopyOrder): void {
  const connection = openToRead(database);
  try {
    connection.run("pragma busy_timeout = 5000");
    const pages =
      (readPragma(connection, "page_count") as number) - (readPragma(connection, "freelist_count") as number);
    const bytes = pages * (readPragma(connection, "page_size") as number);
    self.postMessage({ bytes } satisfies CopyReport);
    // A full disk would also end the deliveries.
    if (freeBytes(path) < room * bytes)
      throw Object.assign(new Error(`it needs ${Math.ceil((room * bytes) / 1024 ** 2)} MiB`), {
        code: "ENOSPC",
      });
    // It holds payloads, so only the owner may read it. VACUUM INTO accepts an empty file.
    makePrivateFile(path);
    connection.query("vacuum into ?").run(path);
  } finally {
    connection.close(true);
  }
}
