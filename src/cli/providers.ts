import { describeId, describeProvider } from "../providers/describe.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { EXIT } from "./exit.ts";

/** `hookonce providers [name]`: lists all providers, one a line, or prints everything about one. */
export async function runProviders(provider: Provider | undefined): Promise<number> {
  if (provider === undefined) {
    const width = Math.max(...[...providers.keys()].map((key) => key.length));
    for (const provider of providers.values())
      console.log(`${provider.name.padEnd(width)}  ${provider.title}; event id: ${describeId(provider)}`);
    return EXIT.done;
  }
  console.log(`${provider.title} (provider = "${provider.name}")`);
  for (const [label, text] of describeProvider(provider)) console.log(`  ${label.padEnd(13)}  ${text}`);
  const { eventTypes } = await import("../providers/event-types.ts");
  const known = eventTypes.get(provider.name);
  if (known !== undefined) {
    const more = known.whole ? `${provider.title} adds more in time` : "there are more";
    console.log(`  ${"event types".padEnd(13)}  from ${known.from}; ${more}:`);
    for (const type of known.types) console.log(`    ${type}`);
  }
  return EXIT.done;
}
