import { coversUrl } from "../providers/verifier.ts";
import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

/** The URL that the provider was given, if it is not the one that hookonce knows. */
export function* otherUrls(examined: Examined): Generator<Hypothesis> {
  if (!coversUrl(examined.scheme)) return;
  const query = queryOf(examined.delivery.url);
  for (const base of candidates(examined)) {
    for (const url of new Set([base + query, base])) {
      yield {
        change: { urlOf: () => url },
        cause: "url",
        what: `The provider calls another URL than ${examined.settings.publicUrl === undefined ? "the one that was requested" : "public_url"}: the signature was made for ${base}${url === base ? (query === "" ? "" : " without the query") : " (with the query of the request)"}.`,
        remedy: `Set public_url = "${base}" for this source.`,
      };
    }
  }
}

/** URLs without a query, the likeliest first. */
function candidates(examined: Examined): Set<string> {
  const found = new Set<string>();
  const { publicUrl } = examined.settings;
  const hosts = hostsOf(examined);
  const paths = pathsOf(examined);
  for (const scheme of ["https", "http"]) {
    for (const host of hosts) for (const path of paths) found.add(`${scheme}://${host}${path}`);
  }
  if (publicUrl !== undefined) found.delete(withoutQuery(publicUrl));
  return found;
}

function hostsOf({ delivery, settings }: Examined): Set<string> {
  const { headers } = delivery;
  const forwarded = /host="?([^";,]+)/i.exec(headers["forwarded"] ?? "")?.[1];
  const named = [
    headers["x-forwarded-host"],
    forwarded,
    headers["x-original-host"],
    settings.publicUrl === undefined ? undefined : hostOf(settings.publicUrl),
    headers["host"],
    hostOf(delivery.url),
  ].flatMap((one) => (one ?? "").split(",").map((host) => host.trim().toLowerCase()));
  const hosts = new Set<string>();
  for (const host of named) {
    if (!/^(?:[\w.-]+|\[[\da-f:]+\])(?::\d{1,5})?$/.test(host)) continue;
    const bare = host.replace(/:\d+$/, "");
    const port = headers["x-forwarded-port"];
    for (const one of [host, bare, `${bare}:443`, `${bare}:80`]) hosts.add(one);
    if (port !== undefined && /^\d{1,5}$/.test(port)) hosts.add(`${bare}:${port}`);
  }
  // Such as port 99999, or an invalid address.
  return new Set([...hosts].filter((host) => URL.canParse(`http://${host}/`)));
}

function pathsOf({ delivery, settings }: Examined): Set<string> {
  const { headers } = delivery;
  const own = `/webhook/${settings.name}`;
  const asked = pathOf(delivery.url);
  const prefix = (headers["x-forwarded-prefix"] ?? "").replace(/\/+$/, "");
  const original = headers["x-original-uri"] ?? headers["x-original-url"] ?? headers["x-forwarded-uri"];
  const paths = [
    asked,
    settings.publicUrl === undefined ? asked : pathOf(settings.publicUrl),
    ...(original === undefined ? [] : [pathOf(original)]),
    ...(prefix === "" ? [] : [prefix + asked]),
    own,
    // Proxies commonly strip or add these.
    ...["/api", "/hooks", "/hookonce", "/webhooks"].map((one) => one + asked),
    ...tails(asked),
  ];
  return new Set(
    paths.flatMap((path) => {
      const bare = path.replace(/\/+$/, "");
      return bare === "" ? ["/", ""] : [path, bare, `${bare}/`];
    }),
  );
}

/** `/a/b/c` → `/b/c`, `/c`. */
function tails(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return parts.slice(1).map((_, index) => `/${parts.slice(index + 1).join("/")}`);
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/, "");
}

function queryOf(url: string): string {
  const at = url.indexOf("?");
  return at === -1 ? "" : url.slice(at);
}

function hostOf(url: string): string | undefined {
  return /^https?:\/\/([^/?#]+)/i.exec(url)?.[1];
}

function pathOf(url: string): string {
  const path = withoutQuery(url.replace(/^https?:\/\/[^/?#]*/i, ""));
  return path === "" ? "/" : path;
}
