import { describeId, describeProvider } from "../providers/describe.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { EXIT } from "./exit.ts";

/** `hookonce providers [name]`: lists all providers, one a line, or prints everything about one. */
export function runProviders(provider: Provider | undefined): number {
  if (provider === undefined) {
    const width = Math.max(...[...providers.keys()].map((key) => key.length));
    for (const { name, title, eventId } of providers.values())
      console.log(`${name.padEnd(width)}  ${title}; event id: ${describeId(eventId)}`);
    return EXIT.done;
  }
  console.log(`${provider.title} (provider = "${provider.name}")`);
  for (const [label, text] of describeProvider(provider)) console.log(`  ${label.padEnd(13)}  ${text}`);
  return EXIT.done;
}
