import { useState } from "hono/jsx/dom";
import { sqlOf, typeScriptOf, type Path } from "./paths.ts";
import { copyText } from "./ui.tsx";
import { count, visible } from "./words.ts";

/**
 * A payload as a tree. It is our own, because the libraries put a style element or markup into the page, which
 * the Content-Security-Policy forbids, and none tells which path was clicked. Only what is open is in the
 * page, so a payload of 900 levels costs no more than a flat one.
 */
export function JsonTree({ value }: { readonly value: unknown }) {
  const [form, setForm] = useState<"sql" | "ts">("sql");
  const [copied, setCopied] = useState("");
  const copy = (path: Path): void => {
    const text = form === "sql" ? sqlOf(path) : typeScriptOf(path);
    void copyText(text).then((done) => setCopied(done ? text : ""));
  };
  return (
    <div class="tree">
      <div class="tree-head">
        <span role="status">
          {copied === "" ? "Click a name to copy its path." : `Copied ${visible(copied)}`}
        </span>
        <label>
          as{" "}
          <select
            value={form}
            onChange={(event: Event) => setForm((event.target as HTMLSelectElement).value as "sql" | "ts")}
          >
            <option value="sql">SQL</option>
            <option value="ts">TypeScript</option>
          </select>
        </label>
      </div>
      <div class="tree-body" tabIndex={0} role="group" aria-label="Payload">
        <Node value={value} path={[]} copy={copy} />
      </div>
    </div>
  );
}

interface NodeProps {
  readonly value: unknown;
  readonly path: Path;
  readonly copy: (path: Path) => void;
}

/** How many children are shown at once. */
const PAGE = 100;

function Node({ value, path, copy }: NodeProps) {
  const entries = entriesOf(value);
  const [isOpen, setOpen] = useState(path.length < 3 && (entries?.length ?? 0) <= 40);
  const [shown, setShown] = useState(PAGE);
  const name = path.at(-1);
  const label =
    name === undefined ? null : (
      <button type="button" class="name" title="Copy the path" onClick={() => copy(path)}>
        {typeof name === "number" ? name : visible(name).slice(0, 200)}
      </button>
    );
  if (entries === undefined)
    return (
      <div class="node">
        {label}
        <Leaf value={value} />
      </div>
    );
  const size = Array.isArray(value) ? `[${count(entries.length)}]` : `{${count(entries.length)}}`;
  return (
    <div class="node">
      <button
        type="button"
        class="fold"
        aria-expanded={isOpen ? "true" : "false"}
        aria-label={`${visible(String(name ?? "payload")).slice(0, 200)}, ${isOpen ? "close" : "open"}`}
        disabled={entries.length === 0}
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? "▾" : "▸"}
      </button>
      {label}
      <span class="quiet">{size}</span>
      {isOpen && entries.length > 0 ? (
        <ul>
          {entries.slice(0, shown).map(([key, child]) => (
            <li key={String(key)}>
              <Node value={child} path={[...path, key]} copy={copy} />
            </li>
          ))}
          {entries.length > shown ? (
            <li key="more of them">
              <button type="button" class="small" onClick={() => setShown(shown + 10 * PAGE)}>
                Show {count(Math.min(10 * PAGE, entries.length - shown))} more
              </button>
            </li>
          ) : null}
        </ul>
      ) : null}
    </div>
  );
}

function entriesOf(value: unknown): readonly (readonly [string | number, unknown])[] | undefined {
  if (value === null || typeof value !== "object") return undefined;
  return Array.isArray(value) ? value.map((one, index) => [index, one] as const) : Object.entries(value);
}

/** The most characters of a value that are shown at once. */
const SHOWN = 1000;

function Leaf({ value }: { readonly value: unknown }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== "string") return <span class={`leaf ${typeof value}`}>{String(value)}</span>;
  const isLong = value.length > SHOWN && !isWhole;
  return (
    <span class="leaf string">
      "{visible(isLong ? value.slice(0, SHOWN) : value)}
      {isLong ? "…" : '"'}
      {isLong ? (
        <button type="button" class="small" onClick={() => setWhole(true)}>
          Show all {count(value.length)} characters
        </button>
      ) : null}
    </span>
  );
}
