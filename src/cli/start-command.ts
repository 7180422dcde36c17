import { resolve } from "node:path";
import { secretNeeds } from "../app/sources.ts";
import { readConfig } from "../config/load.ts";
import { providers } from "../providers/presets.ts";
import { kindOf } from "../providers/schemes.ts";
import { shellWord } from "./init.ts";

/** The command that starts hookonce on a folder, from anywhere. An unsigned source needs `--dev`. */
export function startCommand(folder: string): string {
  const path = resolve(folder);
  const { sources } = readConfig(path, secretNeeds, null);
  const needsDev = sources.some(({ provider, allow_public: allowPublic }) => {
    const preset = providers.get(provider);
    return preset !== undefined && kindOf(preset.scheme).proof === "none" && allowPublic !== true;
  });
  return `hookonce serve ${needsDev ? "--dev " : ""}--folder ${shellWord(path)}`;
}
