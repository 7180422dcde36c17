import { nearest } from "../config/nearest.ts";
import type { StatusJson } from "../http/admin/shapes.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import { answerOf } from "./answer.ts";

/** A sentence, after a space, that the config has no source of the given name. Empty if it has one. */
export async function unknownSource(
  { api }: AdminClient,
  { source }: { readonly source?: string | undefined },
): Promise<string> {
  if (source === undefined) return "";
  const { sources } = await answerOf<StatusJson>(await api.status.$get());
  const names = sources.map(({ name }) => name);
  if (names.includes(source) || names.length === 0) return "";
  return ` hookonce.toml has no source "${source}"; ${nearest(source, names)}`;
}
