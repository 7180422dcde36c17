import { closest } from "fastest-levenshtein";
import { describeId, describeProvider } from "../app/describe-provider.ts";
import { providers } from "../providers/presets.ts";
import { EXIT } from "./exit.ts";

/** `hookonce providers [name]`: all of them in a line each, or everything about one. */
export function runProviders(name: string | undefined): number {
  if (name === undefined) {
    const width = Math.max(...[...providers.keys()].map((key) => key.length));
    for (const provider of providers.values())
      console.log(
        `${provider.name.padEnd(width)}  ${provider.title}; event id: ${describeId(provider.eventId)}`,
      );
    return EXIT.done;
  }
  const provider = providers.get(name);
  if (provider === undefined) {
    console.error(`There is no provider "${name}"; did you mean ${closest(name, [...providers.keys()])}?`);
    return EXIT.failed;
  }
  console.log(`${provider.title} (provider = "${provider.name}")`);
  for (const [label, text] of describeProvider(provider)) console.log(`  ${label.padEnd(13)}  ${text}`);
  return EXIT.done;
}
