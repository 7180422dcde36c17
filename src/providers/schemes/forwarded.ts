import { isIP } from "node:net";
import type { Headers } from "../../event.ts";

/**
 * Headers that browsers, proxies and tunnels add to a request. A program on this machine that delivers an
 * event itself sends none of them: not curl, not `hookonce send`, not `stripe listen`. No header that a
 * provider sends with its events is among them either (unsigned.test.ts).
 */
const ADDED: readonly RegExp[] = [
  // Browsers: Fetch Metadata, client hints, CORS. The fetch of Node.js sends Sec-Fetch-Mode, and no other.
  /^(?:origin|sec-(?!fetch-mode$).+)$/,
  // Standards: RFC 7239, RFC 9110, RFC 8586, RFC 9440.
  /^(?:forwarded|via|cdn-loop|client-cert.*|proxy-.+)$/,
  // The client's address: X-Real-IP, True-Client-IP, X-Azure-ClientIP, Remote-Addr, CloudFront-Viewer-Address.
  /(?:^|-)(?:client|proxyuser)?(?:ip|addr|address)$/,
  // The request before it was forwarded.
  /^x-(?:forward.*|orig(?:inal|inating)?-.+|real-.+|prox(?:y|ied).*|rewrite-url|replaced-path|host)$/,
  /^(?:x-(?:url-)?scheme|front-end-https|x-ssl-.+|ssl-client-.+|x-client-(?:cert|dn|verify|port|proto).*)$/,
  /^x-(?:request|queue)-start$/,
  // Proxies that sign users in: Authelia, oauth2-proxy, authentik, Pomerium, Google IAP, Azure, AWS.
  /^(?:x-)?(?:remote|webauth|auth-request|authentik|pomerium|vouch)-(?:user|name|email|groups?|.*claim.*|jwt.*)/,
  /^(?:x-goog-(?:iap|authenticated)-.+|x-ms-client-principal.*|x-authentik-.+|x-auth-request-.+)$/,
  // Proxies and load balancers. AWS SNS sends x-amz-sns-…
  /^x-(?:envoy|nginx|traefik|varnish|haproxy|kong|caddy|amzn|amz-cf|arr|azure|fd|appengine|nf|railway)(?:-.+)?$/,
  /^(?:x-cloud-trace-context|x-vercel-(?!signature$).+|rndr-.+|x-render-.+|fly-.+)$/,
  // Content delivery networks. Cloudflare's own events carry cf-webhook-auth.
  /^(?:x-)?(?:cf-(?!webhook-auth$)|cloudfront-|fastly-|akamai-|incap-|sucuri-|bunny-|cdn-).+$/,
  // Tunnels.
  /^(?:x-)?(?:ngrok|tailscale|localtunnel|localxpose|zrok|pinggy|inlets|pagekite|tunnel|ms-?devtunnels?)-.+$/,
];

/**
 * Returns the name of a header that shows that the request was forwarded, or that a browser sent it: one of
 * the usual headers, or one whose value is the address of another machine.
 */
export function forwardedHeader(headers: Headers): string | undefined {
  return Object.entries(headers).find(
    ([name, value]) => isAddedOnTheWay(name) || (name !== "host" && namesOther(name, value)),
  )?.[0];
}

/** Whether a proxy, a tunnel or a browser adds this header to a request. */
export function isAddedOnTheWay(name: string): boolean {
  return ADDED.some((added) => added.test(name));
}

/** A version number of four parts looks like an address. */
function namesOther(name: string, value: string): boolean {
  return !name.includes("version") && value.split(",").some((part) => isOtherMachine(part.trim()));
}

/** `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` and `[2001:db8::1]:4711`. */
function isOtherMachine(text: string): boolean {
  const address = /^\[([\da-f:.]+)\](?::\d+)?$/i.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, "$1");
  return isIP(address) !== 0 && !isLoopback(address);
}

/** Whether it is an address of this machine, written as Bun writes a peer's. */
export function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(address) || address === "::1";
}
