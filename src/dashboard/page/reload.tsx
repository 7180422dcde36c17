import { useState } from "hono/jsx/dom";
import type { ProblemJson } from "../../http/admin/shapes.ts";
import { api, type ReloadResult } from "./api.ts";
import { Failed } from "./ui.tsx";
import { counted, visible } from "./words.ts";

/** The button that loads config and handlers again, and what came of it. */
export function Reload({ again }: { readonly again: () => void }) {
  const [isRunning, setRunning] = useState(false);
  const [result, setResult] = useState<ReloadResult | undefined>(undefined);
  const [error, setError] = useState<unknown>(undefined);
  const run = (): void => {
    setRunning(true);
    setResult(undefined);
    setError(undefined);
    api
      .reload()
      .then(setResult, (cause: unknown) => setError(cause))
      .finally(() => {
        setRunning(false);
        again();
      });
  };
  return (
    <div class="reload">
      <div class="buttons">
        <button type="button" disabled={isRunning} onClick={run}>
          {isRunning ? "Checking and loading…" : "Reload config and handlers"}
        </button>
      </div>
      {error === undefined ? null : <Failed error={error} />}
      {result === undefined ? null : <Result result={result} />}
    </div>
  );
}

function Result({ result }: { readonly result: ReloadResult }) {
  const { warnings } = result;
  return (
    <div role="status">
      {"problems" in result ? (
        <>
          <p class="wrong">
            ✗ Refused: {counted(result.problems.length, "problem")}. {visible(result.message)}
          </p>
          <Problems of={result.problems} name="Problems of the reload" />
        </>
      ) : (
        <p>
          <span class="outcome good">✓ Reloaded</span>: {counted(result.sources.length, "source")},{" "}
          {counted(result.handlers.length, "handler")}, {counted(result.destinations.length, "destination")}.
        </p>
      )}
      {warnings.length === 0 ? null : (
        <>
          <p class="outcome owed">○ {counted(warnings.length, "warning")}</p>
          <Problems of={warnings} name="Warnings of the reload" />
        </>
      )}
    </div>
  );
}

function Problems({ of, name }: { readonly of: readonly ProblemJson[]; readonly name: string }) {
  return (
    <ul aria-label={name} class="errors">
      {of.map(({ file, line, message }) => (
        <li>
          {file === null ? null : <code>{visible(line === null ? file : `${file}:${line}`)}</code>}{" "}
          {visible(message)}
        </li>
      ))}
    </ul>
  );
}
