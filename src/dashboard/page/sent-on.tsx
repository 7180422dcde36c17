import type { EventDetail, MessageDetail } from "../../http/admin/shapes.ts";
import { Attempts, resultOf, State } from "./attempts.tsx";
import { Link } from "./location.tsx";
import { attemptsText, messagesPath } from "./message-acts.ts";
import { Time } from "./ui.tsx";
import { count, visible } from "./words.ts";

/** The API shows at most so many messages of an event. */
const MAX_SHOWN = 50;

/** The messages of an event, each with its last attempt, and all of them on demand. */
export function SentOn({ event }: { readonly event: EventDetail }) {
  const { messages, source, event_id: id } = event;
  if (messages.length === 0) return null;
  return (
    <section aria-labelledby="sent-title">
      <h3 id="sent-title">Messages</h3>
      <ol class="timeline">
        {messages.map((message) => (
          <Sent key={`${message.destination}\n${message.id}`} message={message} />
        ))}
      </ol>
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
