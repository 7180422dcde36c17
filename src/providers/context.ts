import type { Delivery } from "../event.ts";
import type { ParsedBody } from "./body/payload.ts";

/** Unix milliseconds. */
export type Clock = () => number;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Throws, or rejects, unless the delivery is the provider's. What it throws has a code that says why not. */
export type Verify = (delivery: Delivery) => void | Promise<void>;

/** What a scheme verifies with. */
export interface VerifyContext {
  /** As configured; any of them may match (rotation). */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  /** For keys and certificates, from hosts that the scheme pins. */
  readonly fetch: Fetch;
  /** The URL as the provider knows it. */
  readonly urlOf: (delivery: Delivery) => string;
  /** For schemes whose signature stands in the body. Bounded, whatever a compressed body says. */
  readonly parse: (delivery: Delivery) => ParsedBody;
  /** The provider's environment, where it has several. */
  readonly environment: "production" | "sandbox";
}

/** A request to be signed as the provider would: what the simulator sends, and what is forwarded. */
export interface OutgoingRequest {
  readonly method: string;
  /** The whole URL. */
  readonly url: string;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SigningKeys {
  /** As a source has it configured. */
  readonly secret: string;
  /** The sender's half, where the source's is the public one. See {@link generateKeyPair}. */
  readonly privateKey?: string;
}
