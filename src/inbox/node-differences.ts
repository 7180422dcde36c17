import type { ServingNode } from "../engines/nodes.ts";

/** After so long a silence of a node, others may soon take over what it did, in milliseconds. */
const SILENT_MS = 10_000;

export const isSilent = ({ silentMs }: Pick<ServingNode, "silentMs">): boolean => silentMs > SILENT_MS;

/** How the nodes that serve the same database differ. Undefined if no difference matters. */
export function nodeDifferences(nodes: readonly ServingNode[]): string | undefined {
  const alive = nodes.filter((node) => !isSilent(node) && node.version !== null);
  const differing = (["version", "config", "handlers"] as const).filter(
    (part) => new Set(alive.map((node) => node[part])).size > 1,
  );
  if (differing.length === 0) return undefined;
  const words = differing.map((part) => WORDS[part]).join(" and ");
  return `the nodes have loaded different ${words} (${alive.map(({ name }) => name).join(", ")}), so the same event is treated differently. Bring their folders up to date, and run hookonce reload --all`;
}

const WORDS = { version: "versions of hookonce", config: "configs", handlers: "handlers" } as const;
