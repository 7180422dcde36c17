import type { EventDetail, MessageDetail } from "../../http/admin/shapes.ts";
import { Attempts, resultOf, State } from "./attempts.tsx";
import { maySend, sendTo } from "./event-acts.ts";
import type { Act } from "./jobs.ts";
import { Link } from "./location.tsx";
import { attemptsText, messagesPath } from "./message-acts.ts";
import { Time } from "./ui.tsx";
import { count, visible } from "./words.ts";

/** The API shows at most so many messages of an event. */
const MAX_SHOWN = 50;

/** The messages of an event, each with its last attempt, and all of them on demand. */
export function SentOn(props: {
  readonly event: EventDetail;
  /** Where it can be sent, if the reader may send it. */
  readonly destinations: readonly string[];
  readonly act: (act: Act) => void;
}) {
  const { event, act } = props;
  const { messages, source, event_id: id } = event;
  const destinations = maySend(event) ? props.destinations : [];
  if (messages.length + destinations.length === 0) return null;
  return (
    <section aria-labelledby="sent-title">
      <h3 id="sent-title">Messages</h3>
      {messages.length === 0 ? null : (
        <ol class="timeline">
          {messages.map((message) => (
            <Sent key={`${message.destination}\n${message.id}`} message={message} />
          ))}
        </ol>
      )}
      {destinations.length === 0 ? null : (
        <div class="buttons">
          {destinations.map((name) => (
            <button type="button" onClick={() => act(sendTo(name, event))}>
              Send to {visible(name)}…
            </button>
          ))}
        </div>
      )}
      {messages.length < MAX_SHOWN ? null : (
        <Link to={messagesPath({ source, event_id: id })}>Show all messages of this event</Link>
      )}
    </section>
  );
}

function Sent({ message }: { readonly message: MessageDetail }) {
  const { id, destination, state, created_at: at, timeline, kind } = message;
  const last = timeline.at(-1);
  return (
    <li>
      <Time at={last?.at ?? at} />{" "}
      <Link to={messagesPath({ id, destination })}>to {visible(destination)}</Link> <State of={state} />
      <span class="quiet">
        {" "}
        {last === undefined ? attemptsText(message) : `${resultOf(last, kind)}, ${count(last.ms)} ms`}
        {message.attempts > 1 ? `, ${attemptsText(message)}` : ""}
      </span>
      {timeline.length === 0 ? null : (
        <details>
          <summary>What was answered</summary>
          <Attempts attempts={timeline} kind={kind} />
        </details>
      )}
    </li>
  );
}
