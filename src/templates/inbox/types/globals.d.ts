/**
 * The globals of a handler, for editors. `hookonce init` writes this file to `.hookonce/types/`.
 *
 * It replaces TypeScript's "dom" library. That library has a global `event`, so a handler that forgets its
 * parameter would compile, and it has `fetch` and `setTimeout`, which must not be used inside a transaction.
 */

/** For use while you write a handler. The output is not stored with the event. */
interface Console {
  log(...data: unknown[]): void;
  debug(...data: unknown[]): void;
  info(...data: unknown[]): void;
  warn(...data: unknown[]): void;
  error(...data: unknown[]): void;
}
declare var console: Console;

interface TextDecoder {
  /** `new TextDecoder().decode(event.body)` is the body as text. */
  decode(input?: Uint8Array | ArrayBuffer): string;
}
declare var TextDecoder: {
  prototype: TextDecoder;
  new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};

interface TextEncoder {
  encode(input?: string): Uint8Array;
}
declare var TextEncoder: { prototype: TextEncoder; new (): TextEncoder };

/** The type of drizzle's `blob(…, { mode: "buffer" })` columns. */
interface Buffer extends Uint8Array {
  toString(encoding?: "utf8" | "hex" | "base64" | "base64url" | "latin1"): string;
  equals(other: Uint8Array): boolean;
}
declare var Buffer: {
  prototype: Buffer;
  from(text: string, encoding?: "utf8" | "hex" | "base64" | "base64url" | "latin1"): Buffer;
  from(bytes: Uint8Array | ArrayBuffer | readonly number[]): Buffer;
  concat(parts: readonly Uint8Array[]): Buffer;
};

interface URLSearchParams extends Iterable<[string, string]> {
  get(name: string): string | null;
  getAll(name: string): string[];
  has(name: string, value?: string): boolean;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string, value?: string): void;
  sort(): void;
  toString(): string;
}
declare var URLSearchParams: {
  prototype: URLSearchParams;
  new (init?: string | Record<string, string> | Iterable<[string, string]>): URLSearchParams;
};

interface URL {
  hash: string;
  host: string;
  hostname: string;
  href: string;
  readonly origin: string;
  password: string;
  pathname: string;
  port: string;
  protocol: string;
  search: string;
  readonly searchParams: URLSearchParams;
  username: string;
  toJSON(): string;
  toString(): string;
}
declare var URL: {
  prototype: URL;
  new (url: string | URL, base?: string | URL): URL;
  canParse(url: string | URL, base?: string | URL): boolean;
};

interface Crypto {
  /** A random id. It changes if the handler runs again. `event.id` does not. */
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
  getRandomValues<T extends ArrayBufferView>(array: T): T;
}
declare var crypto: Crypto;

/** Base64 to a string of bytes. `Uint8Array.fromBase64` returns the bytes themselves. */
declare function atob(data: string): string;
/** A string of bytes to base64. */
declare function btoa(data: string): string;
declare function structuredClone<T>(value: T): T;

/** The environment of the process that runs hookonce. It does not contain the inbox folder's `.env`. */
declare var process: { readonly env: Readonly<Record<string, string | undefined>> };
