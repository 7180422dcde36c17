import { resolve } from "node:path";
import { connectAdmin } from "../app/apply.ts";
import { HookonceError } from "../errors.ts";
import type { AdminClient } from "../http/admin/socket.ts";
import type { List, NewTokenJson, Scope, TokenJson } from "../http/admin/shapes.ts";
import { visible } from "../logging/visible.ts";
import { answerOf } from "./answer.ts";
import { columns, terminalWidth } from "./columns.ts";
import { EXIT } from "./exit.ts";
import { openLooking } from "./open-looking.ts";
import { shortTime } from "./moments.ts";
import { startCommand } from "./start-command.ts";
import { complain, say, sayJson, sayTable } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

export interface TokenFlags {
  name?: string;
  scopes?: readonly Scope[];
  /** In milliseconds. */
  expires?: number;
  json?: boolean;
  database?: string;
}

/** `hookonce token create | list | revoke`. Changing tokens needs a running `serve`. */
export async function runToken(
  action: "create" | "list" | "revoke",
  name: string | undefined,
  folder: string,
  flags: TokenFlags,
): Promise<number> {
  if (action === "list") return list(folder, flags);
  const given = flags.name ?? name;
  if (given === undefined)
    throw new UsageError(
      action === "create"
        ? "name the token after who uses it, as in hookonce token create --name laptop"
        : "name the token, as in hookonce token revoke laptop",
    );
  const admin = await connectAdmin({ folder, database: flags.database });
  if (admin === undefined)
    throw new HookonceError(
      "not_serving",
      `No hookonce serve is running on ${resolve(folder)}, and only it can change tokens. Start it: ${startCommand(folder)}`,
    );
  return action === "create" ? create(admin.client, given, flags) : revoke(admin.client, given);
}

async function create(
  client: AdminClient,
  name: string,
  { scopes = ["read"], expires }: TokenFlags,
): Promise<number> {
  const expiresAt = expires === undefined ? null : Date.now() + expires;
  const json = { name, scopes: [...scopes], expires_at: expiresAt };
  const { token } = await answerOf<NewTokenJson>(await client.api.tokens.$post({ json }));
  const until = expiresAt === null ? "" : ` until ${shortTime(expiresAt, Date.now())}`;
  complain(`The token "${name}" may ${scopes.join(", ")}${until}. It is shown only now:`);
  // Nothing else goes to standard output, so that TOKEN=$(hookonce token create …) works.
  say(token);
  return EXIT.done;
}

async function revoke(client: AdminClient, name: string): Promise<number> {
  await answerOf(await client.api.tokens[":name"].$delete({ param: { name } }));
  say(`The token "${visible(name)}" is revoked. Its sessions have ended.`);
  return EXIT.done;
}

async function list(folder: string, { json, database }: TokenFlags): Promise<number> {
  await using admin = await openLooking(folder, { database });
  const { items } = await answerOf<List<TokenJson>>(await admin.client.api.tokens.$get());
  if (json === true) for (const token of items) sayJson(JSON.stringify(token));
  else if (items.length === 0) say("There are no tokens. To make one: hookonce token create --name NAME");
  else sayTable(tableOf(items));
  return EXIT.done;
}

function tableOf(tokens: readonly TokenJson[]): string[] {
  const now = Date.now();
  return columns(
    ["name", "scopes", "created", "expires"],
    tokens.map(({ name, scopes, created_at: created, expires_at: expires, revoked_at: revoked }) => [
      name,
      scopes.join(","),
      shortTime(created, now),
      revoked !== null
        ? `revoked ${shortTime(revoked, now)}`
        : expires === null
          ? "never"
          : shortTime(expires, now),
    ]),
    { width: terminalWidth(), flexible: [0] },
  );
}
