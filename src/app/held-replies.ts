import type { ConfiguredSource } from "../config/load.ts";
import { HookonceError } from "../errors.ts";
import type { Reply } from "../event.ts";
import { reply } from "../handlers/api.ts";
import type { Provider } from "../providers/provider.ts";
import type { KeyedMessage } from "./pointless-keys.ts";

/**
 * The `held_reply` of a source. It is checked as a handler's reply is.
 *
 * @throws HookonceError `invalid_reply`
 */
export function heldReplyOf({ held_reply: held }: Pick<ConfiguredSource, "held_reply">): Reply | undefined {
  if (held === undefined) return undefined;
  const { status = 200, headers = {}, body } = held;
  return reply({ status, headers, body }).reply;
}

/** What is wrong with `held_reply`, or why a source needs one. */
export function heldReplyProblems(source: ConfiguredSource, provider: Provider): KeyedMessage[] {
  const { held_reply: held, hold_after: holdAfter } = source;
  const { title, usesAnswer } = provider;
  if (held === undefined) {
    if (holdAfter === undefined || usesAnswer === undefined) return [];
    const message = `hold_after = ${holdAfter} pauses the source, and ${usesAnswer}. Set held_reply, the answer to what is held, as in ${HELD_REPLY_EXAMPLE}`;
    return [{ key: "hold_after", message }];
  }
  if ((source.batch ?? provider.batch) !== undefined) {
    const message = `held_reply has no effect: a delivery of ${title} may carry several events, and a reply is for one. Remove it`;
    return [{ key: "held_reply", message }];
  }
  try {
    heldReplyOf(source);
    return [];
  } catch (error) {
    if (!(error instanceof HookonceError)) throw error;
    return [{ key: "held_reply", message: `held_reply: ${error.message}` }];
  }
}

export const HELD_REPLY_EXAMPLE = 'held_reply = { body = "Back in a few minutes." }';

/** Why a source cannot be paused as it is. Undefined if it can. */
export function whyNotHeld(source: {
  readonly name: string;
  readonly provider: Provider;
  readonly heldReply: Reply | undefined;
}): HookonceError | undefined {
  const { name, provider, heldReply } = source;
  if (provider.usesAnswer === undefined || heldReply !== undefined) return undefined;
  return new HookonceError(
    "held_reply_missing",
    `The source "${name}" cannot be paused, because ${provider.usesAnswer}. Set the answer to what is held, as in ${HELD_REPLY_EXAMPLE} under [sources.${name}] in hookonce.toml. Or refuse its deliveries: hookonce pause ${name} --refuse`,
  );
}
