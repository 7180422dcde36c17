/**
 * Addresses that no message is sent to, whatever the URL says. At a link-local address, the server of a cloud
 * gives out credentials to any process of this machine. A payload may be part of the URL, and a name may
 * resolve to any address, so this is checked at each attempt. Private and loopback addresses are allowed: the
 * operator wrote the URL, and Docker and the local network are the common case.
 */
const METADATA_ADDRESSES: ReadonlyMap<string, string> = new Map([
  ["100.100.100.200", "the metadata server of Alibaba Cloud"],
  ["168.63.129.16", "the wire server of Azure"],
  ["192.0.0.192", "the metadata server of Oracle Cloud"],
  ["fd00:ec2::254", "the metadata server of AWS"],
  ["fd00:ec2::23", "the credentials server of Amazon EKS"],
  ["fd20:ce::254", "the metadata server of Google Cloud"],
  ["fd00:c1::a9fe:a9fe", "the metadata server of Oracle Cloud"],
  ["fd00:42::42", "the metadata server of Scaleway"],
]);

/**
 * @param address IPv4 or IPv6, as a lookup returns it, perhaps with a zone such as `%eth0`
 * @returns what is at an address that hookonce does not connect to; undefined if it does
 */
export function refusedAddress(address: string): string | undefined {
  const isIPv6 = address.includes(":");
  const canonical = canonicalOf(isIPv6 ? `[${address.replace(/%.*$/su, "")}]` : address);
  // Fail closed: what cannot be read cannot be checked.
  if (canonical === undefined) return "no address";
  if (!isIPv6) return refusedIPv4(canonical);
  const bare = canonical.slice(1, -1);
  const groups = groupsOf(bare);
  // fe80::/10
  if (((groups[0] ?? 0) & 0xffc0) === 0xfe80) return "a link-local address";
  const within = embeddedIPv4(groups);
  return METADATA_ADDRESSES.get(bare) ?? (within === undefined ? undefined : refusedIPv4(within));
}

function refusedIPv4(address: string): string | undefined {
  return address.startsWith("169.254.") ? "a link-local address" : METADATA_ADDRESSES.get(address);
}

/** The URL parser writes every spelling of an address alike: octal, hex, one number, a dot at the end. */
function canonicalOf(host: string): string | undefined {
  const url = /^[\w.:[\]]+$/.test(host) ? `http://${host}/` : "";
  const canonical = URL.canParse(url) ? new URL(url).hostname : "";
  return /^(?:[\d.]+|\[[\da-f:]+\])$/.test(canonical) ? canonical : undefined;
}

/** @param address as the URL parser writes it: no zeros in front, at most one `::`, no dots */
function groupsOf(address: string): number[] {
  const [head = [], tail] = address
    .split("::")
    .map((part) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16))));
  if (tail === undefined) return head;
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** The prefixes in front of an IPv4 address, and the group where it begins. */
const EMBEDDINGS: readonly { readonly prefix: readonly number[]; readonly at: number }[] = [
  // Mapped, ::ffff:0:0/96, and compatible, ::/96 (RFC 4291).
  { prefix: [0, 0, 0, 0, 0, 0xffff], at: 6 },
  { prefix: [0, 0, 0, 0, 0, 0], at: 6 },
  // Translated, ::ffff:0:0:0/96 (RFC 2765).
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },
  // NAT64: 64:ff9b::/96 (RFC 6052), and any /96 of 64:ff9b:1::/48 (RFC 8215).
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },
  { prefix: [0x64, 0xff9b, 1], at: 6 },
  // 6to4, 2002::/16 (RFC 3056).
  { prefix: [0x2002], at: 1 },
];

function embeddedIPv4(groups: readonly number[]): string | undefined {
  const found = EMBEDDINGS.find(({ prefix }) => prefix.every((group, index) => groups[index] === group));
  if (found === undefined) return undefined;
  const [high = 0, low = 0] = groups.slice(found.at);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}
