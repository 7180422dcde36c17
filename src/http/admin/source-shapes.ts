import type { CappedCount } from "./message-shapes.ts";

/** What the API answers about sources. */

/** `open`: it runs its events. `resuming`: it runs what was held, and what is delivered is still held. */
export type SourceState = "open" | "held" | "refusing" | "resuming";

export interface SourceStateJson {
  readonly name: string;
  readonly state: SourceState;
  /** When this state began; null if it is open. */
  readonly since: number | null;
  /** When it resumes by itself; null if it does not. */
  readonly until: number | null;
  readonly reason: string | null;
  /** Whether the next failure of a resuming source pauses it again. */
  readonly stop_on_failure: boolean;
  /** How many of its events are held. At most 100,000 are counted. */
  readonly held: CappedCount;
  /** When the first of them was received; null if none is held. */
  readonly oldest_at: number | null;
  /** What somebody should look after: a pause of more than a day, more than 10,000 held events. */
  readonly warnings: readonly string[];
}

export interface SourceJson {
  readonly name: string;
  readonly state: SourceState;
  readonly provider: string;
  /** The provider's name for people, such as `Stripe`. */
  readonly title: string;
  /** The provider's page about its webhooks. */
  readonly docs: string;
  /** Where the provider delivers to; only the path if no `serve` is running. */
  readonly url: string;
  readonly handlers: readonly string[];
  /** Of these, those whose name only begins types of the provider: `customer.subscription`. */
  readonly prefix_handlers: readonly string[];
  readonly last_delivery_at: number | null;
  /** Deliveries in the last 60 minutes. */
  readonly last_hour: number;
  /** Of the handlers in the last 60 minutes, in microseconds; null if none ran. */
  readonly p95_us: number | null;
  readonly secrets: readonly SecretJson[];
}

/** A secret that is configured. Its value is never shown. */
export interface SecretJson {
  /** As the config names it, such as `env:STRIPE_NEW`. */
  readonly name: string;
  /** When it last verified a delivery since the start of this process; null if it has not. */
  readonly matched_at: number | null;
}
