import type { Problem } from "../errors.ts";
import { kindOf } from "../providers/schemes.ts";
import type { Source } from "../providers/source.ts";

/** Whether anyone can forge a source's deliveries. Only `serve --dev` serves such a source. */
export function isForDevelopment({ provider, allowPublic }: Source): boolean {
  return kindOf(provider.scheme).proof === "none" && !allowPublic;
}

export function unsignedSources(sources: ReadonlyMap<string, Source>): string[] {
  return [...sources.values()].filter(isForDevelopment).map(({ name }) => name);
}

/**
 * A start without `--dev` is refused if a source is unsigned. Behind a proxy, nothing shows whether a request
 * is local: nginx's default proxy_pass sends `Host: 127.0.0.1` and no forwarding header.
 */
export function refuseUnsigned(sources: ReadonlyMap<string, Source>): Problem[] {
  return unsignedSources(sources).map((name) => ({
    message: `source "${name}" is unsigned, so anyone could forge its events. While developing, start with hookonce serve --dev. If anyone may send to it, set allow_public = true. Otherwise give it a provider and a secret, or delete [sources.${name}] if you do not need it.`,
  }));
}

/** Returns the same as warnings for `check`, which does not know how the folder will be served. */
export function warnOfUnsigned(sources: ReadonlyMap<string, Source>): Problem[] {
  return unsignedSources(sources).map((name) => ({
    message: `source "${name}" is unsigned: hookonce serve starts only with --dev, or with allow_public = true on this source`,
  }));
}
