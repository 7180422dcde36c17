import type { StoredReads } from "./batch-split.ts";
import { compilePlaceOfOne } from "./body/batch.ts";
import { parseWithExactNumbers } from "./body/exact-numbers.ts";
import { maskAt } from "./body/mask.ts";
import { stepsIn } from "./body/path.ts";
import { changeBody } from "./body/payload.ts";
import { createEventAlone, inflated } from "./event-alone.ts";
import type { MessageToSign } from "./sign-again.ts";
import type { SourceSettings } from "./source.ts";

type Masked =
  | {
      readonly message: MessageToSign;
      /** The paths that found something. */ readonly found: readonly string[];
    }
  /** Why its values cannot be masked. */
  | { readonly problem: string };

/**
 * Returns a function that masks values in a delivery, which is to be signed again. A path begins at the event, and
 * a delivery of several events becomes one of this event alone.
 *
 * @param paths as in `body:$.data.object.email`
 * @param reads the source, which reads the masked delivery as a receiver does
 */
export function createDeliveryMasking(
  settings: SourceSettings,
  paths: readonly string[],
  reads: StoredReads,
): (message: MessageToSign) => Masked {
  const { provider, batch = provider.batch } = settings;
  const aloneOf = createEventAlone(() => settings);
  const placeOf = batch === undefined ? () => [] : compilePlaceOfOne(batch);
  const steps = paths.map((path) => ({ path, steps: stepsIn(path) }));
  return (message) => {
    const { payloadJson: json, eventId } = message;
    if (json === null) return { problem: "its body is neither JSON nor a form" };
    const event = parseWithExactNumbers(json);
    const found = steps.filter((one) => maskAt(event, one.steps) !== undefined);
    if (found.length === 0) return { message, found: [] };
    const alone = inflated({ ...message, ...aloneOf(message) });
    const body = changeBody(
      alone,
      (payload) =>
        found.reduce((value, one) => maskAt(value, [...placeOf(value), ...one.steps]) ?? value, payload),
      provider.formField,
    );
    const masked = { headers: alone.headers, body };
    const { json: maskedJson = null } = reads.payloadOf(masked, eventId) ?? {};
    if (maskedJson === null || reads.typeOf(masked, eventId) === undefined)
      return { problem: "its id is made from what is masked, so it would be another event" };
    const now = parseWithExactNumbers(maskedJson);
    // Whatever the shape of the delivery, nothing that should be masked goes out.
    if (found.some((one) => JSON.stringify(maskAt(now, one.steps)) !== JSON.stringify(now)))
      return { problem: "the values cannot be found in its delivery" };
    return {
      message: { ...message, ...masked, payloadJson: maskedJson },
      found: found.map(({ path }) => path),
    };
  };
}
