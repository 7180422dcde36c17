import type { HealthWarning } from "../engines/engine.ts";
import { nodeDifferences } from "../inbox/node-differences.ts";
import { passed } from "../outbox/passed.ts";
import type { Inbox, OpenInboxOptions } from "./open-inbox.ts";
import type { Services } from "./services.ts";

export interface NodesOptions extends Pick<OpenInboxOptions, "log"> {
  /** How often to look, in milliseconds. Only tests change it. */
  readonly everyMs?: number;
}

/** Says if the nodes that serve the same database have loaded different things. */
export async function startNodes(
  services: Services,
  { engine }: Pick<Inbox, "engine">,
  { log, everyMs = 5000 }: NodesOptions,
): Promise<{ readonly warning: () => HealthWarning | undefined }> {
  const stopping = new AbortController();
  let difference: string | undefined;

  /** @returns false if the database is of this process alone */
  async function look(): Promise<boolean> {
    const nodes = await (await engine.reader()).nodes();
    const found = nodeDifferences(nodes);
    if (found !== undefined && found !== difference) log.warn({}, found);
    if (found === undefined && difference !== undefined) log.info({}, "all nodes have loaded the same");
    difference = found;
    return nodes.length > 0;
  }

  async function untilStop(): Promise<void> {
    // The first look loads the reader, and a start does not wait for it.
    while (await passed(everyMs, stopping.signal))
      // The log says elsewhere that the server is away.
      if (!(await look().catch(() => true))) return;
  }

  const ended = untilStop();
  await services.start(() => ({
    name: "nodes",
    stop() {
      stopping.abort();
      return ended;
    },
  }));
  return {
    warning: () => (difference === undefined ? undefined : { code: "nodes_differ", message: difference }),
  };
}
