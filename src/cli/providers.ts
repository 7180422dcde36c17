import { describeProvider } from "../providers/describe.ts";
import { providers } from "../providers/presets.ts";
import type { Provider } from "../providers/provider.ts";
import { EXIT } from "./exit.ts";
import { say } from "./terminal.ts";

/** On a terminal, a longer list of event types is not shown. */
const MAX_LISTED = 20;

/** `hookonce providers [name]`: lists all providers, one a line, or prints everything about one. */
export async function runProviders(provider: Provider | undefined): Promise<number> {
  if (provider === undefined) {
    const width = Math.max(...[...providers.keys()].map((key) => key.length));
    for (const { name, title } of [...providers.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
      say(`${name.padEnd(width)}  ${title}`);
    say("\nTo see how one signs and retries, and how it is read: hookonce providers NAME");
    return EXIT.done;
  }
  say(`${provider.title} (provider = "${provider.name}")`);
  for (const [label, text] of describeProvider(provider)) say(`  ${label.padEnd(13)}  ${text}`);
  const { eventTypes } = await import("../providers/event-types.ts");
  const known = eventTypes.get(provider.name);
  if (known !== undefined) {
    const more = known.whole ? `${provider.title} adds more over time` : "there are more";
    const { length } = known.types;
    const from = `${length} from ${known.from}; ${more}`;
    // The list would move the rest out of the terminal.
    const isShown = !process.stdout.isTTY || length <= MAX_LISTED;
    say(`  ${"event types".padEnd(13)}  ${from}${isShown ? ":" : ". To see them:"}`);
    if (isShown) for (const type of known.types) say(`    ${type}`);
    else say(`    hookonce providers ${provider.name} | less`);
  }
  return EXIT.done;
}
