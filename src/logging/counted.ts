interface Count {
  readonly count: number;
  /** Whether there may be more. */
  readonly capped: boolean;
}

/** Writes the sum of counts: `13,003`, or `13,003+` if there may be more. */
export function sumOf(counts: readonly Count[]): string {
  const sum = counts.reduce((all, { count }) => all + count, 0);
  return `${sum.toLocaleString("en")}${counts.some(({ capped }) => capped) ? "+" : ""}`;
}

/**
 * Writes a count with its noun: `1 row`, `2,000 rows`.
 *
 * @param many the plural, if it is not the singular with an s
 */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
