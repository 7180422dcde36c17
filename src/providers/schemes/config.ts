/** What a source's config may say about its scheme. Each key changes one part of the preset's scheme. */
export interface SchemeConfig {
  readonly signature?: SignatureKeys | undefined;
  readonly secret_in?: string | undefined;
  /** In milliseconds. */
  readonly tolerance?: number | undefined;
}

export interface SignatureKeys {
  readonly header?: string | undefined;
  readonly algorithm?: Algorithm | undefined;
  readonly encoding?: "hex" | "base64" | "base64url" | undefined;
  readonly prefix?: string | undefined;
  readonly separator?: string | undefined;
  readonly signed?: string | undefined;
  /** `header:name` or `body:$.path`. */
  readonly timestamp?: string | undefined;
  readonly timestamp_unit?: "s" | "ms" | "iso" | undefined;
  /** `header:name`. */
  readonly id?: string | undefined;
  readonly over?: "raw" | "decompressed" | undefined;
  /** PEM, or `env:NAME` or `file:path`. */
  readonly public_key?: string | readonly string[] | undefined;
  readonly jwks_url?: string | undefined;
  readonly issuer?: string | readonly string[] | undefined;
  readonly audience?: string | readonly string[] | undefined;
  readonly claims?: Readonly<Record<string, string>> | undefined;
  readonly secret_encoding?: "text" | "hex" | "base64" | "whsec" | "whsec-or-text" | undefined;
}

/** Each kind of scheme uses some of them. */
type Algorithm =
  | ("md5" | "sha1" | "sha256" | "sha512")
  | ("ed25519" | "ecdsa-sha256" | "rsa-sha1" | "rsa-sha256" | "rsa-sha512")
  | ("RS256" | "ES256");

/** A key of a source that some schemes use and others do not. */
export type SchemeKey =
  | `signature.${keyof SignatureKeys}`
  | "secret_in"
  | "tolerance"
  | "environment"
  | "allow_public";

/** What is wrong with the value of a key. In a message it follows the key and its value. */
export interface KeyProblem {
  readonly key: SchemeKey;
  readonly what: string;
  /** Default: remove it. */
  readonly remedy?: string;
}
