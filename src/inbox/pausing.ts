import type { HealthWarning } from "../engines/engine.ts";

/** Pauses sources, and lets them go on. */
export interface Pausing {
  /**
   * Resolves once it is durable: every later delivery is held, or refused. A source that is paused already gets the
   * new time, and the new reason if there is one.
   *
   * @throws HookonceError what the queue refused (`disk_full`, `database_locked`, …)
   */
  pause(name: string, how: HowToPause, actor: string): Promise<void>;
  /**
   * Resolves once the source is resuming: what is held or has failed then runs in the order received. If there is
   * nothing, the source is open at once.
   *
   * @throws HookonceError as {@link Pausing.pause}
   */
  resume(name: string, how: { readonly stopOnFailure?: boolean | undefined }, actor: string): Promise<void>;
  /**
   * Whether deliveries are to be refused before their bodies are read. Known within a second of a start. The engine
   * refuses them in any case.
   */
  isRefusing(name: string): boolean;
  /** What somebody should look after. Known within a second of a start. */
  warnings(): readonly HealthWarning[];
}

export interface HowToPause {
  /** Answer deliveries with 503 instead of storing them. */
  readonly refuse?: boolean | undefined;
  /** When it resumes by itself, in Unix milliseconds. */
  readonly until?: number | null | undefined;
  readonly reason?: string | null | undefined;
}
