/** `host:port` with a port up to 65535. An IPv6 host is in brackets. */
export const ADDRESS =
  /^(?:\[[^\]]+\]|[^:[\]]+):(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/;

/** @param address matches {@link ADDRESS} */
export function parseAddress(address: string): { hostname: string; port: number } {
  const colon = address.lastIndexOf(":");
  return {
    hostname: address.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(colon + 1)),
  };
}

/** Whether a host is this machine: an address in 127.0.0.0/8, `::1` or `localhost`. */
export function isLoopbackHost(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|(?:0*:){2,7}0*1)$/i.test(hostname);
}
