import { useEffect, useRef, useState } from "hono/jsx/dom";
import { api, type Pause } from "./api.ts";
import { Failed } from "./ui.tsx";
import { visible } from "./words.ts";

/** Asks how a source is to be paused: why, for how long, and whether it stores its events meanwhile. */
export function PauseDialog(props: {
  readonly source: string;
  readonly onDone: () => void;
  readonly onClose: () => void;
}) {
  const { source, onDone, onClose } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [pause, setPause] = useState<Pause>({ refuse: false, for: "", reason: "" });
  const [error, setError] = useState<unknown>(undefined);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="pause-title" onClose={onClose}>
      <h2 id="pause-title">Pause {visible(source)}</h2>
      <form
        onSubmit={(event: Event) => {
          event.preventDefault();
          setError(undefined);
          api.pauseSource(source, pause).then(
            () => {
              onDone();
              dialog.current?.close();
            },
            (cause: unknown) => setError(cause),
          );
        }}
      >
        <p class="quiet">
          {pause.refuse
            ? "Its deliveries are answered 503 and not stored. Its provider has to send them again."
            : "Its events are stored and answered 200. They run in the order received when it resumes."}
        </p>
        <label>
          Reason (optional)
          <input
            value={pause.reason}
            maxLength={500}
            onInput={(event: Event) => setPause((old) => ({ ...old, reason: textOf(event) }))}
          />
        </label>
        <label>
          Resume by itself after (optional)
          <input
            value={pause.for}
            placeholder="30m, 2h or 1d"
            pattern="[1-9][0-9]{0,5}[smhd]"
            title="A whole number with s, m, h or d, such as 2h"
            onInput={(event: Event) => setPause((old) => ({ ...old, for: textOf(event) }))}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={pause.refuse}
            onChange={() => setPause((old) => ({ ...old, refuse: !old.refuse }))}
          />{" "}
          Answer 503 instead of storing
        </label>
        {error === undefined ? null : <Failed error={error} />}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button class="primary">Pause</button>
        </div>
      </form>
    </dialog>
  );
}

const textOf = (event: Event): string => (event.target as HTMLInputElement).value;
