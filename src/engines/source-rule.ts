/** What a database stores about a source of the config. */
export interface SourceRule {
  readonly name: string;
  readonly provider: string;
  /** Where the event id comes from, in a normal form: two rules are the same if their texts are equal. */
  readonly eventIdRule: string;
  /** Rules that earlier versions of the provider's preset had. A change from one of them is not refused. */
  readonly earlierRules: readonly string[];
  /** How long after the last delivery the provider may still retry an event, in milliseconds. 0: it does not. */
  readonly retryWindowMs: number;
  /** `hold_after`. It is not stored. */
  readonly holdAfter?: number | undefined;
  /** The name this source had before. */
  readonly renamedFrom?: string | undefined;
}
