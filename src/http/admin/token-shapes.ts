/** What the API answers about tokens and sessions. Only types, for the browser, too. */

export type Scope = "read" | "steer" | "forget";

export interface TokenJson {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
}

/** The only answer that contains the token itself. */
export interface NewTokenJson extends TokenJson {
  readonly token: string;
}

/** What a login answers. */
export interface SessionJson {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expires_at: number | null;
}
