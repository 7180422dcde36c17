import type { ConfiguredDestination } from "../config/destinations.ts";
import { CONFIG_FILE } from "../config/load.ts";
import type { Reader } from "../engines/reader.ts";
import type { Problem } from "../errors.ts";
import { counted } from "../logging/counted.ts";

/** A count of messages stops here. */
const MAX_COUNTED = 10_000;

/** Warns of dead messages, of paused destinations, and of messages whose destination is gone from the config. */
export async function warnOfDestinations(
  destinations: readonly ConfiguredDestination[],
  reader: Pick<Reader, "depths" | "paused"> | null,
): Promise<Problem[]> {
  if (reader === null) return [];
  const find = (name: string): ConfiguredDestination | undefined =>
    destinations.find((one) => one.name === name);
  const placed = (name: string, message: string): Problem => ({
    file: CONFIG_FILE,
    line: find(name)?.lineOf(),
    message: `destinations.${name}: ${message}`,
  });
  const paused = (await reader.paused()).map(({ destination, reason }) => {
    const why = reason === null ? "" : ` (${reason})`;
    return placed(destination, `it is paused${why}. To go on, run hookonce resume ${destination}`);
  });
  const depths = (await reader.depths(MAX_COUNTED)).flatMap(({ destination, state, count, capped }) => {
    const messages = capped ? `more than ${counted(count, "message")}` : counted(count, "message");
    const [are, them, wait] = count === 1 ? ["is", "it", "waits"] : ["are", "them", "wait"];
    if (state === "dead")
      return placed(
        destination,
        `${messages} ${are} dead. To send ${them} again, run hookonce resend --destination ${destination}`,
      );
    if (state !== "waiting" || find(destination) !== undefined) return [];
    return placed(
      destination,
      `it is no longer in hookonce.toml, and ${messages} ${wait} for it. Add it again, or run hookonce discard --destination ${destination} --reason TEXT`,
    );
  });
  return [...paused, ...depths];
}
