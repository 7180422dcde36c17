import { closeSync, fchmodSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { messageOf } from "../errors.ts";

/**
 * The marker: a file that is mapped into memory and says which handler runs now. When the process ends in the
 * middle of a run, however it ends, the next start reads there which one it was. Marking a run takes less
 * than half a microsecond and no system call. Nothing is synced: what the process wrote stays in the kernel
 * when the process is killed, and a power cut blames no handler.
 *
 * The layout, in 32-bit words: magic, state, number of the run, lengths of its name, headers and body, flags,
 * number of the sync that is under way; then the time of receipt as a double, the id of the process, name,
 * headers and body. A verdict (watch-marker.ts) is a copy of these bytes.
 */

const MAGIC = 0x314d4b48; // HKM1
const WORD = { magic: 0, state: 1, run: 2, name: 3, headers: 4, body: 5, flags: 6, syncing: 7 } as const;
const RECEIVED_AT = 32;
const PROCESS_ID = 64;
const PROCESS_ID_LENGTH = 36;
const NAME = 128;
const HEADERS = 4096;
const BODY = HEADERS + 32 * 1024;

/** The largest body that is kept, in bytes. A larger one takes longer to copy than its handler to run. */
export const MAX_MARKED_BODY = 64 * 1024;

const SIZE = BODY + MAX_MARKED_BODY;

const RUNNING = 1;
/** The length of headers or a body that did not fit. */
const TOO_LARGE = -1;
const IS_ELEMENT = 1;

/** A run as it is marked. */
export interface Run {
  readonly source: string;
  readonly eventId: string;
  readonly type: string;
  readonly handler: string;
  readonly handlerHash: string;
  /** Unix milliseconds. */
  readonly receivedAt: number;
  readonly headersJson: string;
  /** The event's own bytes, or its own part of a batch as JSON text. */
  readonly body: Uint8Array | string;
}

/** A run as it is read from the file. */
export interface MarkedRun extends Omit<Run, "headersJson" | "body"> {
  /** Tells this run from every other one. */
  readonly token: string;
  /** Undefined if the body or the headers were too large for the marker. */
  readonly delivery:
    | { readonly headersJson: string; readonly body: Uint8Array; readonly element: boolean }
    | undefined;
}

export interface Marker {
  begin(run: Run): void;
  end(): void;
  /** Between these two the process waits for the disk. */
  beginSync(): void;
  endSync(): void;
  /** Overwrites what was marked last. Call it between two runs. */
  blank(): void;
  /** Empties the file and removes it. */
  close(): void;
}

/** For a system or a file system that maps no files. Then nothing is marked, and nothing is watched. */
export const noMarker: Marker = {
  begin: () => {},
  end: () => {},
  beginSync: () => {},
  endSync: () => {},
  blank: () => {},
  close: () => {},
};

export const markerPathOf = (database: string): string => `${database}.marker`;
export const verdictPathOf = (database: string): string => `${database}.verdict`;

/**
 * Makes an empty marker in place of what is at the path.
 *
 * @returns the reason if the file cannot be made or mapped
 */
export function openMarker(path: string): Marker | { readonly reason: string } {
  let bytes: Buffer;
  try {
    // Every block is written: to touch a hole of a mapped file while the disk is full ends the process
    // (SIGBUS).
    rmSync(path, { force: true });
    const file = openSync(path, "wx", 0o600);
    try {
      fchmodSync(file, 0o600);
      writeAll(file, Buffer.alloc(SIZE));
    } finally {
      closeSync(file);
    }
    bytes = mapMarker(path);
  } catch (error) {
    removeQuietly(path);
    return { reason: messageOf(error) };
  }
  const words = wordsOf(bytes);
  const receivedAt = new DataView(bytes.buffer, bytes.byteOffset);
  let runs = 0;
  let syncs = 0;
  /** How far what was marked reaches since it was overwritten, from the headers and from the body on. */
  let headersEnd = HEADERS;
  let bodyEnd = BODY;
  bytes.write(crypto.randomUUID(), PROCESS_ID);
  words[WORD.magic] = MAGIC;
  return {
    begin({ source, eventId, type, handler, handlerHash, receivedAt: at, headersJson, body }) {
      const name = `${source}\n${eventId}\n${type}\n${handler}\n${handlerHash}`;
      words[WORD.name] = bytes.write(name, NAME, HEADERS - NAME);
      words[WORD.headers] = writeText(bytes, headersJson, HEADERS, BODY);
      words[WORD.body] = writeBody(bytes, body);
      headersEnd = Math.max(headersEnd, HEADERS + (words[WORD.headers] ?? 0));
      bodyEnd = Math.max(bodyEnd, BODY + (words[WORD.body] ?? 0));
      words[WORD.flags] = typeof body === "string" ? IS_ELEMENT : 0;
      receivedAt.setFloat64(RECEIVED_AT, at, true);
      words[WORD.run] = ++runs;
      // Last: what a killed process has half written is not a run.
      Atomics.store(words, WORD.state, RUNNING);
    },
    end: () => void Atomics.store(words, WORD.state, 0),
    beginSync: () => void Atomics.store(words, WORD.syncing, ++syncs),
    endSync: () => void Atomics.store(words, WORD.syncing, 0),
    blank() {
      bytes.fill(0, NAME, headersEnd);
      bytes.fill(0, BODY, bodyEnd);
      headersEnd = HEADERS;
      bodyEnd = BODY;
    },
    close() {
      bytes.fill(0);
      rmSync(path, { force: true });
    },
  };
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // For example, it is a folder.
  }
}

/** @returns how many bytes the text takes */
function writeText(bytes: Buffer, text: string, from: number, end: number): number {
  // A UTF-16 unit takes at most three bytes, so most texts need not be counted.
  const fits = text.length * 3 <= end - from || Buffer.byteLength(text) <= end - from;
  return fits ? bytes.write(text, from) : TOO_LARGE;
}

function writeBody(bytes: Buffer, body: Uint8Array | string): number {
  if (typeof body === "string") return writeText(bytes, body, BODY, SIZE);
  if (body.byteLength > MAX_MARKED_BODY) return TOO_LARGE;
  bytes.set(body, BODY);
  return body.byteLength;
}

/**
 * Maps a marker that another thread or process may have made.
 *
 * @throws whatever the system says
 */
export function mapMarker(path: string): Buffer {
  const map = Bun.mmap(path, { shared: true });
  if (map.byteLength !== SIZE) throw new Error(`${path} has ${map.byteLength} bytes, and ${SIZE} are needed`);
  return Buffer.from(map.buffer, map.byteOffset, map.byteLength);
}

function wordsOf(bytes: Uint8Array): Int32Array<ArrayBuffer> {
  return new Int32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, PROCESS_ID / 4);
}

/**
 * What the watchdog looks at: the number of the run that is marked now, and of the sync that is under way. 0:
 * none.
 */
export function lookAt(bytes: Buffer): { readonly run: number; readonly sync: number } {
  const words = wordsOf(bytes);
  const running = Atomics.load(words, WORD.state) === RUNNING;
  return { run: running ? (words[WORD.run] ?? 0) : 0, sync: Atomics.load(words, WORD.syncing) };
}

/** @returns undefined if no run is marked */
export function readRun(bytes: Buffer): MarkedRun | undefined {
  if (bytes.byteLength !== SIZE) return undefined;
  const [magic, state, run, name = 0, headers = 0, body = 0, flags = 0] = wordsOf(Uint8Array.from(bytes));
  if (magic !== MAGIC || state !== RUNNING) return undefined;
  const names = bytes.toString("utf8", NAME, NAME + name).split("\n");
  if (names.length !== 5) return undefined;
  const [source, eventId, type, handler, handlerHash] = names as [string, string, string, string, string];
  return {
    token: `${bytes.toString("latin1", PROCESS_ID, PROCESS_ID + PROCESS_ID_LENGTH)}:${run}`,
    source,
    eventId,
    type,
    handler,
    handlerHash,
    receivedAt: bytes.readDoubleLE(RECEIVED_AT),
    delivery:
      headers === TOO_LARGE || body === TOO_LARGE
        ? undefined
        : {
            headersJson: bytes.toString("utf8", HEADERS, HEADERS + headers),
            body: Uint8Array.from(bytes.subarray(BODY, BODY + body)),
            element: (flags & IS_ELEMENT) !== 0,
          },
  };
}

/** What a process has left beside its database when it ended. */
export interface Left {
  /** Whether it ended without a clean stop. */
  readonly killed: boolean;
  /** The run that was under way. */
  readonly run: MarkedRun | undefined;
  /** The run over which the watchdog ended the process. */
  readonly verdict: MarkedRun | undefined;
}

export function readLeft(database: string): Left {
  const marker = readIfThere(markerPathOf(database));
  const verdict = readIfThere(verdictPathOf(database));
  return {
    killed: marker !== undefined,
    run: marker === undefined ? undefined : readRun(marker),
    verdict: verdict === undefined ? undefined : readRun(verdict),
  };
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Stores what is marked now, so that it outlives the process and a power cut. */
export function writeVerdict(path: string, marked: Buffer): void {
  rmSync(path, { force: true });
  const file = openSync(path, "wx", 0o600);
  try {
    fchmodSync(file, 0o600);
    writeAll(file, marked);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.byteLength;) written += writeSync(file, bytes, written);
}
