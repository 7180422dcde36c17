import type { AttemptJson, MessageDetail, MessageJson, MessageState } from "../../http/admin/shapes.ts";
import { Time } from "./ui.tsx";
import { count, visible, type Look } from "./words.ts";

const LOOKS: Readonly<Record<MessageState, Look>> = {
  waiting: { mark: "○", tone: "owed" },
  sending: { mark: "○", tone: "owed" },
  interrupted: { mark: "○", tone: "owed" },
  delivered: { mark: "✓", tone: "good" },
  dead: { mark: "✗", tone: "bad" },
  discarded: { mark: "=", tone: "quiet" },
};

export function State({ of }: { readonly of: MessageJson["state"] }) {
  const { mark, tone } = LOOKS[of];
  return (
    <span class={`outcome ${tone}`}>
      <span class="mark" aria-hidden="true">
        {mark}
      </span>
      {of}
    </span>
  );
}

/** The status of an answer, or the exit code of a command. */
export function resultOf({ status }: AttemptJson, kind: MessageDetail["kind"]): string {
  if (kind !== "command") return status === null ? "no answer" : String(status);
  return status === null ? "no exit code" : `exit ${status}`;
}

/** The latest ten attempts to send a message, with what was answered. */
export function Attempts({
  attempts,
  kind,
}: {
  readonly attempts: readonly AttemptJson[];
  readonly kind: MessageDetail["kind"];
}) {
  if (attempts.length === 0) return <p class="quiet">It has not been sent.</p>;
  return (
    <ol class="timeline">
      {attempts.map((one) => (
        <li key={one.number}>
          <Time at={one.at} /> <span>Attempt {count(one.number)}</span>{" "}
          <span class={one.error === null ? "outcome good" : "outcome bad"}>
            {one.error === null ? "✓" : "✗"} {resultOf(one, kind)}
          </span>
          <span class="quiet"> {count(one.ms)} ms</span>
          {one.error === null ? null : <p class="wrong">{visible(one.error)}</p>}
          {one.answer === "" ? null : (
            <pre class="raw" tabIndex={0} aria-label={`What attempt ${one.number} was answered`}>
              {visible(one.answer)}
            </pre>
          )}
        </li>
      ))}
    </ol>
  );
}
