import { describeId, describeProvider } from "../providers/describe.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { EXIT } from "./exit.ts";

/** `hookonce providers [name]`: lists all providers, one a line, or prints everything about one. */
export function runProviders(provider: Provider | undefined): number {
  if (provider === undefined) {
    const width = Math.max(...[...providers.keys()].map((key) => key.length));
    for (const provider of providers.values())
      console.log(`${provider.name.padEnd(width)}  ${provider.title}; event id: ${describeId(provider)}`);
    return EXIT.done;
  }
  console.log(`${provider.title} (provider = "${provider.name}")`);
  for (const [label, text] of describeProvider(provider)) console.log(`  ${label.padEnd(13)}  ${text}`);
  return EXIT.done;
}
