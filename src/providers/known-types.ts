/**
 * The event types of a provider, to find misspelled ones. Providers add types, so an unknown one is only a
 * warning.
 */
export interface KnownTypes {
  /** Where they were read: the provider's library with its version, or a page. */
  readonly from: string;
  /** Whether the list is complete. If not, there is only a warning if a type is close to a listed one. */
  readonly whole: boolean;
  /** Types that the list leaves out. */
  readonly others?: RegExp;
  readonly types: readonly string[];
}

/** The words of a text. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
