import type { ServingNode } from "../engines/nodes.ts";

/** Nothing was heard of a node for so long that others may soon do what it did, in milliseconds. */
const SILENT_MS = 10_000;

export const isSilent = ({ silentMs }: Pick<ServingNode, "silentMs">): boolean => silentMs > SILENT_MS;

/** In what the nodes differ that serve the same database. Undefined: in nothing that matters. */
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
