import { useState } from "hono/jsx/dom";
import type { List, MessageDetail, MessageJson } from "../../http/admin/shapes.ts";
import { api } from "./api.ts";
import { Attempts, State } from "./attempts.tsx";
import type { Act } from "./jobs.ts";
import { Link } from "./location.tsx";
import { actForMessage, attemptsText, mayDiscard, mayResend, messagesPath } from "./message-acts.ts";
import type { MessageFilter } from "./query.ts";
import { Copy, Failed, Loading, Name, Time, useLoaded } from "./ui.tsx";
import { timeText, visible } from "./words.ts";

const PAGE = 50;

/** The most that the API gives at once. */
const MAX_SHOWN = 500;

const STATES = [
  ["", "All"],
  ["waiting", "Waiting"],
  ["sending", "Sending"],
  ["dead", "Dead"],
  ["delivered", "Delivered"],
  ["discarded", "Discarded"],
] as const;

interface MessagesProps {
  readonly filter: MessageFilter;
  readonly mayAct: boolean;
  readonly settled: number;
  readonly act: (act: Act) => void;
}

/** The messages that match, the newest first. */
export function Messages({ filter, mayAct, settled, act }: MessagesProps) {
  const [limit, setLimit] = useState(PAGE);
  const loaded = useLoaded<List<MessageJson>>(
    JSON.stringify([filter, limit, settled]),
    () => api.messages({ ...filter, limit }),
    5000,
  );
  const items = loaded.value?.items;
  return (
    <>
      <div class="quick" role="group" aria-label="States of messages">
        {STATES.map(([state, name]) => (
          <Link to={messagesPath({ ...filter, state })} current={(filter.state ?? "") === state}>
            {name}
          </Link>
        ))}
      </div>
      {loaded.error === undefined ? null : <Failed error={loaded.error} again={loaded.again} />}
      {items === undefined && loaded.error === undefined ? <Loading what="messages" /> : null}
      {items?.length === 0 ? <p class="quiet">No message matches.</p> : null}
      <ul class="messages">
        {(items ?? []).map((message) => (
          <Message
            key={`${message.destination}\n${message.id}`}
            message={message}
            mayAct={mayAct}
            settled={settled}
            act={act}
          />
        ))}
      </ul>
      {(loaded.value?.next ?? null) === null || limit >= MAX_SHOWN ? null : (
        <button type="button" onClick={() => setLimit(Math.min(MAX_SHOWN, limit * 2))}>
          Show more
        </button>
      )}
    </>
  );
}

function Message(props: Omit<MessagesProps, "filter"> & { readonly message: MessageJson }) {
  const { message, mayAct, settled, act } = props;
  const [isOpen, setOpen] = useState(false);
  const { created_at: at, destination, type, state, last_status: status, last_error: error } = message;
  return (
    <li class="card">
      <button
        type="button"
        class="link message-head"
        aria-expanded={isOpen ? "true" : "false"}
        onClick={() => setOpen(!isOpen)}
      >
        <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> <Time at={at} /> <State of={state} />{" "}
        <strong>{visible(destination)}</strong> <span>{type === "" ? "no type" : <Name text={type} />}</span>{" "}
        <span class="quiet">
          {status === null ? "" : `${status}, `}
          {attemptsText(message)}
        </span>
      </button>
      {error === null || state === "delivered" ? null : (
        <p class="wrong message">{visible(error).slice(0, 300)}</p>
      )}
      {isOpen ? (
        <OneMessage id={message.id} destination={destination} mayAct={mayAct} settled={settled} act={act} />
      ) : null}
    </li>
  );
}

/** A message with its attempts, and what can be done with it. */
export function OneMessage(
  props: Omit<MessagesProps, "filter"> & { readonly id: string; readonly destination: string | undefined },
) {
  const { id, destination, mayAct, settled, act } = props;
  const loaded = useLoaded<MessageDetail>(
    JSON.stringify(["message", id, destination, settled]),
    () => api.message(id, destination),
    5000,
  );
  const { value: message } = loaded;
  if (message === undefined)
    return loaded.error === undefined ? (
      <Loading what="the message" />
    ) : (
      <Failed error={loaded.error} again={loaded.again} />
    );
  const { source, event_id: event, next_at: next, reason } = message;
  return (
    <div class="one-message">
      <p class="message-id">
        <code>
          <Name text={id} />
        </code>{" "}
        <Copy text={id} label="Copy id" />
      </p>
      <p>
        <State of={message.state} /> to <strong>{visible(message.destination)}</strong>
        {next === null ? null : <span class="quiet">, to be sent at {timeText(next)}</span>}
        {event === "" ? (
          <span class="quiet">, enqueued by another process</span>
        ) : (
          <>
            , for the event{" "}
            <Link to={`/events?${new URLSearchParams({ open: `${source}/${event}` }).toString()}`}>
              {visible(event)}
            </Link>
          </>
        )}
      </p>
      {reason === null ? null : <p>Reason: {visible(reason)}</p>}
      <Attempts attempts={message.timeline} kind={message.kind} />
      {mayAct ? (
        <div class="buttons">
          {mayResend(message) ? (
            <button type="button" onClick={() => act(actForMessage("resend", message))}>
              Send again
            </button>
          ) : null}
          {mayDiscard(message) ? (
            <button type="button" onClick={() => act(actForMessage("discard", message))}>
              Discard…
            </button>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}
