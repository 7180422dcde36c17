import type { Delivery, Head } from "../event.ts";
import type { BatchPath } from "./body/batch.ts";
import type { Reading } from "./body/payload.ts";

/** Unix milliseconds. */
export type Clock = () => number;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Throws or rejects unless the provider sent the delivery. The error's code says why. */
export type Verify = (delivery: Delivery) => void | Promise<void>;

/** Throws if the headers alone show that the provider did not send the delivery. */
export type HeaderCheck = (head: Head) => void;

/** What a scheme needs to verify a delivery. */
export interface VerifyContext {
  /** As configured. Any of them may match, so that a secret can be rotated. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** For keys and certificates, from hosts that the scheme pins. */
  readonly fetch: Fetch;
  /** The URL as the provider knows it. */
  readonly urlOf: (delivery: Delivery) => string;
  /**
   * Reads the body, for schemes whose signature is in it. It takes little longer than JSON.parse. A
   * compressed body may inflate at most tenfold, because its sender is not verified yet.
   */
  readonly parse: Reading;
  /**
   * The body without its compression, within the same limit. Throws `body_too_large`, or `invalid_json` if it
   * is not compressed as its headers say.
   */
  readonly decompress: (delivery: Pick<Delivery, "headers" | "body">) => Uint8Array;
  /** Where the events are, if a delivery carries several. */
  readonly batch?: readonly BatchPath[] | undefined;
  /** The provider's environment, if it has several. */
  readonly environment: "production" | "sandbox";
  /** An unsigned source accepts requests from anyone, not only from this machine. */
  readonly allowPublic: boolean;
}

/** A request that is signed as the provider would sign it. */
export interface OutgoingRequest {
  readonly method: string;
  /** The whole URL. */
  readonly url: string;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SigningKeys {
  /** As the source has it in its config. */
  readonly secret: string;
  /** The sender's key, if the secret is not what signs. PEM; for Plaid a JWK. */
  readonly privateKey?: string;
}

/** What a scheme needs to sign a request. */
export interface SigningContext extends SigningKeys {
  /** The time of signing, in Unix milliseconds. */
  readonly nowMs: number;
  /** The form field that holds the payload, if the provider sends such forms. */
  readonly formField: string | undefined;
  /**
   * All secrets of the source, the newest first, if the receiver may have any of them. If the provider writes
   * several signatures, there is one for each.
   */
  readonly secrets?: readonly string[];
}
