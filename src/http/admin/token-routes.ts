import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import type { Token } from "../../engines/records.ts";
import { HookonceError } from "../../errors.ts";
import { hashOf, randomToken, requireScope, requireTime, type Actor } from "./access.ts";
import { readNumber } from "./cursors.ts";
import type { AdminInbox } from "./inbox.ts";
import { auditQuery, SCOPES, tokenRequest } from "./requests.ts";
import { needs, refuseRequest, type AdminEnv } from "./routing.ts";
import type { AuditJson, List, NewTokenJson, Scope, TokenJson } from "./shapes.ts";

/** Tokens, and the list of what people have changed. */
export function createTokenRoutes(inbox: AdminInbox) {
  const audit = (actor: Actor, action: string, target: string) =>
    ({
      entry: "audit",
      change: { at: inbox.clock(), actor: actor.name, action, target, reason: null },
    }) as const;

  /** @throws HookonceError `unknown_token` */
  async function valid(name: string): Promise<Token> {
    const token = (await (await inbox.reader()).tokens()).find(
      (one) => one.name === name && one.revokedAt === null,
    );
    if (token !== undefined) return token;
    throw new HookonceError("unknown_token", `There is no token "${name}". For a list: hookonce token list`);
  }

  return new Hono<AdminEnv>()
    .get("/api/tokens", needs("read"), async (c) => {
      const items = (await (await inbox.reader()).tokens()).map(tokenJson);
      return c.json({ items, next: null } satisfies List<TokenJson>);
    })
    .post("/api/tokens", needs("steer"), zValidator("json", tokenRequest, refuseRequest), async (c) => {
      const { name, scopes, expires_at: expiresAt } = c.req.valid("json");
      const actor = c.get("actor");
      // A token cannot make one that may do more than itself, or for longer.
      for (const scope of scopes) requireScope(actor, scope);
      requireTime(actor, expiresAt);
      const createdAt = inbox.clock();
      if (expiresAt !== null && expiresAt <= createdAt)
        throw new HookonceError("invalid_request", "The request is invalid: expires_at is in the past.");
      const token = randomToken();
      const stored = { name, hash: hashOf(token), scopes: [...new Set(scopes)], createdAt, expiresAt };
      await inbox.record([{ entry: "token", token: stored }, audit(actor, "token create", name)]);
      const json = tokenJson({ ...stored, revokedAt: null });
      return c.json({ ...json, token } satisfies NewTokenJson, 201);
    })
    .delete("/api/tokens/:name", needs("steer"), async (c) => {
      const name = c.req.param("name");
      await valid(name);
      await inbox.record([
        { entry: "revoke", name, at: inbox.clock() },
        audit(c.get("actor"), "token revoke", name),
      ]);
      return c.json({ status: "revoked" });
    })
    .get("/api/audit", needs("read"), zValidator("query", auditQuery, refuseRequest), async (c) => {
      const { limit, cursor } = c.req.valid("query");
      const items = await (await inbox.reader()).audit(readNumber(cursor), limit);
      const last = items.at(-1);
      return c.json({
        items: items.map(({ id: _id, job: _job, count = null, ...change }) => ({ ...change, count })),
        next: last === undefined || items.length < limit ? null : String(last.id),
      } satisfies List<AuditJson>);
    });
}

function tokenJson({
  name,
  scopes,
  createdAt,
  expiresAt,
  revokedAt,
}: Token | Omit<Token, "hash">): TokenJson {
  return {
    name,
    scopes: scopesIn(scopes),
    created_at: createdAt,
    expires_at: expiresAt,
    revoked_at: revokedAt,
  };
}

/** A scope that a newer version has stored gives no right here. */
export function scopesIn(scopes: readonly string[]): Scope[] {
  return SCOPES.filter((scope) => scopes.includes(scope));
}
