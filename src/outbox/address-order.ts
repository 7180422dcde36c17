/** The most addresses of which failures are remembered. */
const MAX_REMEMBERED = 100;

export interface AddressOrder {
  readonly sort: (addresses: readonly string[]) => readonly string[];
  readonly failed: (address: string) => void;
  readonly succeeded: (address: string) => void;
}

/**
 * The address that failed last is tried last. An address that does not answer at all takes the whole time of
 * an attempt, and the next attempt begins with another one.
 */
export function createAddressOrder(): AddressOrder {
  const failures = new Map<string, number>();
  let count = 0;
  const rank = (address: string): number => failures.get(address) ?? 0;
  return {
    sort: (addresses) => addresses.toSorted((a, b) => rank(a) - rank(b)),
    failed: (address) => {
      if (failures.size >= MAX_REMEMBERED) failures.clear();
      failures.set(address, ++count);
    },
    succeeded: (address) => void failures.delete(address),
  };
}
