import { resolve } from "node:path";
import type { Provider } from "../providers/provider.ts";
import { addSource, type Added } from "../simulator/add-source.ts";
import { tickedFor, type Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { isSignedElsewhere } from "../simulator/keys.ts";
import { EXIT } from "./exit.ts";
import { shellWord } from "./init.ts";

export interface AddFlags {
  folder: string;
  name?: string;
  publicUrl?: string;
}

/** `hookonce add`: a source, its starter handlers and the name of its secret; and what to do at the provider's. */
export function runAdd(provider: Provider, types: readonly string[], flags: AddFlags): number {
  const example = examples.get(provider.name) as Example;
  const name = flags.name ?? provider.name;
  const { publicUrl } = flags;
  const added = addSource({ folder: resolve(flags.folder), provider, example, types, name, publicUrl });
  process.stdout.write(nextSteps(provider, example, name, added, flags));
  return EXIT.done;
}

function nextSteps(
  { title, name: providerName, secretIs, scheme, docs }: Provider,
  example: Example,
  name: string,
  { written, kept, types, wanted, wantedLater, listen }: Added,
  { folder, publicUrl }: AddFlags,
): string {
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  const local = `http://${listen}/webhook/${name}`;
  const ticked = tickedFor(example, types);
  const boxes = example.ticksHeads === true ? "   (each is one box, whatever happens to it)" : "";
  const lines = [`Wrote ${written.join(", ")}.`];
  if (kept.length > 0) lines.push(`Left as they were: ${kept.join(", ")}.`);
  lines.push(
    "",
    `1. Write the handlers: as they stand they change nothing, and an event that has come is done.`,
    `2. At ${title}: ${example.dashboard}`,
    `     URL     ${publicUrl ?? `https://your.host/webhook/${name}`}`,
    `     events  ${example.subscribe ?? `${ticked.join(", ")}${boxes}`}`,
  );
  if (wanted.length > 0) lines.push("3. In .env, after the =:");
  for (const one of wanted) lines.push(`     ${one}=   ${whatIs(one, secretIs)}`);
  if (wantedLater !== undefined) {
    lines.push(
      `3. With hookonce serve running, create it there: ${title} sends its secret to the URL, and hookonce shows it in its log, once.`,
      `4. Confirm it there with that.`,
      `5. Put it into .env, without the # before it:`,
      `     ${wantedLater}=   ${whatIs(wantedLater, secretIs)}`,
      `   take the # before secret in hookonce.toml away, too, and start hookonce serve anew.`,
    );
  }
  if (docs.startsWith("https:")) lines.push(`   How it signs: ${docs}`);
  lines.push("", "While developing:");
  if (example.develop !== undefined)
    lines.push(`  ${example.develop.replace("URL", local).replace("EVENTS", ticked.join(","))}`);
  else
    lines.push(
      `  a tunnel: cloudflared tunnel --url http://${listen}   (its https://… is then the host of the URL above)`,
    );
  const send = (source: string): string => `hookonce send ${providerName} --source ${source}${inFolder}`;
  if (isSignedElsewhere(scheme)) {
    const [table, command] = [`[sources.${name}-dev]`, send(`${name}-dev`)];
    lines.push(`  nobody but ${title} can sign: in hookonce.toml, beside it,`);
    lines.push(`    ${table}`, `    provider = "unsigned"`, `    handlers = "${name}"`, `  and ${command}`);
  } else {
    const once = wantedLater === undefined ? "" : "   (once its secret is there)";
    lines.push(`  ${send(name)}${privateKeyHint(scheme.kind)}${once}`);
  }
  lines.push("", `Then: hookonce check${folder === "." ? "" : ` ${shellWord(folder)}`}`);
  return `${lines.join("\n")}\n`;
}

function whatIs(name: string, secretIs = "the signing secret"): string {
  return name.endsWith("_VERIFY_TOKEN") ? "the verify token, which you make up" : secretIs;
}

function privateKeyHint(kind: Provider["scheme"]["kind"]): string {
  return kind === "public-key" ? " --private-key file:…   (hookonce send --help says how to make one)" : "";
}
