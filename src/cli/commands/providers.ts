import { Argument } from "commander";
import type { Provider } from "../../providers/provider.ts";
import { providerNamed } from "../arguments.ts";
import { defineCommand } from "../command.ts";

export const providers = defineCommand<[Provider | undefined], object>({
  name: "providers",
  group: "Manage",
  summary: "What hookonce knows about each provider",
  description:
    "What hookonce knows about each provider: signature, event id, retries, and what could not be checked.",
  arguments: [
    new Argument("[name]", "Show everything about this provider; without it, list all of them").argParser(
      providerNamed,
    ),
  ],
  async run({ args: [provider] }) {
    const { runProviders } = await import("../providers.ts");
    return runProviders(provider);
  },
});
