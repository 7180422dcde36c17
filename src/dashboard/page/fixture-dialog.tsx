import { useEffect, useRef, useState } from "hono/jsx/dom";
import type { EventDetail } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { bodyPathOf, personalPaths } from "./paths.ts";
import { Failed } from "./ui.tsx";

/** Saves the payload of an event beside its handlers, without the values that its reader masks. */
export function FixtureDialog(props: { readonly event: EventDetail; readonly onClose: () => void }) {
  const { event, onClose } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [paths, setPaths] = useState(() => personalPaths(event.payload).map(bodyPathOf).join("\n"));
  const [state, setState] = useState<{ readonly file?: string; readonly error?: unknown }>({});
  useEffect(() => dialog.current?.showModal(), []);
  const save = (): void => {
    const redact = paths
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    api.saveFixture(event.source, event.event_id, redact).then(
      ({ file }) => setState({ file }),
      (error: unknown) => setState({ error }),
    );
  };
  return (
    <dialog ref={dialog} aria-labelledby="fixture-title" onClose={onClose}>
      <h2 id="fixture-title">Save as fixture</h2>
      {state.file === undefined ? (
        <form
          onSubmit={(submitted: Event) => {
            submitted.preventDefault();
            save();
          }}
        >
          <p class="quiet">
            Writes the payload beside the handlers, for their tests. Check what is masked: the file may end up
            in a repository.
          </p>
          <label>
            Values to mask, one path on each line
            <textarea
              rows={6}
              value={paths}
              onInput={(changed: Event) => setPaths((changed.target as HTMLTextAreaElement).value)}
            />
          </label>
          {state.error === undefined ? null : <Failed error={state.error} />}
          <div class="buttons">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button class="primary">Save</button>
          </div>
        </form>
      ) : (
        <>
          <p role="status">
            Saved as <code>{state.file}</code>.
          </p>
          <div class="buttons">
            <button type="button" class="primary" onClick={() => dialog.current?.close()}>
              Close
            </button>
          </div>
        </>
      )}
    </dialog>
  );
}
