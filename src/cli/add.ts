import { resolve } from "node:path";
import { signerOf, type Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import type { Proof } from "../providers/schemes/scheme.ts";
import { addSource, type Added } from "../simulator/add-source.ts";
import { tickedFor, type Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { EXIT } from "./exit.ts";
import { warnOfUnknownType } from "./warning.ts";
import { shellWord } from "./init.ts";
import { say } from "./terminal.ts";

export interface AddFlags {
  handlers?: boolean;
  name?: string;
  publicUrl?: string;
}

/** `hookonce add`: adds a source and the name of its secret, and prints the next steps. */
export async function runAdd(
  provider: Provider,
  types: readonly string[],
  folder: string,
  flags: AddFlags,
): Promise<number> {
  const example = examples.get(provider.name) as Example;
  const name = flags.name ?? provider.name;
  const { publicUrl, handlers = false } = flags;
  const added = addSource({ folder: resolve(folder), provider, example, types, name, publicUrl, handlers });
  for (const type of types) await warnOfUnknownType(provider, type);
  say(nextSteps(provider, example, name, added, { ...flags, folder }).trimEnd());
  return EXIT.done;
}

function nextSteps(
  { title, name: providerName, secretIs, scheme, docs, needs }: Provider,
  example: Example,
  name: string,
  added: Added,
  { folder, publicUrl, handlers = false }: AddFlags & { readonly folder: string },
): string {
  const { written, kept, types, wanted, wantedLater, listen } = added;
  const parameter = kindOf(scheme).signatureParameter(scheme);
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  const local = `http://${listen}/webhook/${name}`;
  const ticked = tickedFor(example, types);
  const boxes = example.ticksHeads === true ? "   (each box covers all its actions)" : "";
  const lines = written.length === 0 ? [] : [`Wrote ${written.join(", ")}.`];
  if (kept.length > 0) lines.push(`Left unchanged: ${kept.join(", ")}.`);
  const check = `Then run: hookonce check${folder === "." ? "" : ` ${shellWord(folder)}`}`;
  if (added.existed) return `${[...lines, "", ...finish, check].join("\n")}\n`;
  const again = `hookonce add ${[providerName, ...nameFlag(providerName, name)].join(" ")}${inFolder} --handlers`;
  lines.push(
    "",
    ...(handlers ? finish : writeHandlers(added.files, title, again)).map((line, at) =>
      at === 0 ? `1. ${line}` : `   ${line}`,
    ),
    "2. Register the webhook with the provider:",
    `     where   ${example.dashboard}`,
    `     URL     ${publicUrl ?? `https://your.host/webhook/${name}`}${parameter === undefined ? "" : `?${parameter}=…`}`,
    ...(parameter === undefined
      ? []
      : [`             … is the secret: ${title} signs nothing, and sends it with the URL`]),
    `     events  ${example.subscribe ?? `${ticked.join(", ")}${boxes}`}`,
  );
  if (wanted.length > 0) lines.push("3. Fill in the values in .env:");
  for (const one of wanted) lines.push(`     ${one}=   ${whatIs(one, secretIs)}`);
  if (wantedLater !== undefined) {
    lines.push(
      `3. Do this while hookonce serve is running: ${title} sends its secret to the URL,`,
      `   and hookonce writes it to its log, once.`,
      `4. Confirm the webhook at ${title} with that secret.`,
      `5. In .env, remove the # before this line and add the secret:`,
      `     ${wantedLater}=   ${whatIs(wantedLater, secretIs)}`,
      `   In hookonce.toml, remove the # before secret. Then restart hookonce serve.`,
    );
  }
  if (docs.startsWith("https:")) lines.push(`   Documentation: ${docs}`);
  lines.push("", "While developing:");
  if (example.develop !== undefined)
    lines.push(`  ${example.develop.replace("URL", local).replace("EVENTS", ticked.join(","))}`);
  else
    lines.push(
      `  a tunnel: cloudflared tunnel --url http://${listen}   (use its https://… host in the URL above)`,
    );
  const send = (source: string): string => `hookonce send ${source}${inFolder}`;
  const { proof } = kindOf(scheme);
  if (proof === "fetched-key") {
    const [table, command] = [`[sources.${name}-dev]`, send(`${name}-dev`)];
    lines.push(
      `  only ${signerOf({ title, needs })} can sign its deliveries, so add an unsigned source to hookonce.toml:`,
    );
    lines.push(`    ${table}`, `    provider = "unsigned"`, `    handlers = "${name}"`, `  and send to it:`);
    lines.push(`    ${command}`);
  } else {
    const once = wantedLater === undefined ? "" : "   (once you have the secret)";
    lines.push(`  ${send(name)}${privateKeyHint(providerName, proof)}${once}`);
  }
  lines.push("", check);
  return `${lines.join("\n")}\n`;
}

const finish = [
  "Finish the handlers. Until you delete the first line of one, it fails, and its events are kept:",
  "hookonce apply runs them later.",
];

function writeHandlers(files: readonly string[], title: string, again: string): string[] {
  return [
    "Write what an event does, in SQL or in TypeScript (.ts), in a file for each type:",
    ...files.map((file) => `  ${file}`),
    "Until then these events are kept as unhandled, and hookonce apply runs them later.",
    `To write starters with the paths of ${title}'s payload: ${again}`,
  ];
}

function nameFlag(provider: string, name: string): string[] {
  return name === provider ? [] : ["--name", name];
}

function whatIs(name: string, secretIs = "the signing secret"): string {
  return name.endsWith("_VERIFY_TOKEN") ? "the verify token, which you choose" : secretIs;
}

function privateKeyHint(provider: string, proof: Proof): string {
  if (proof !== "key-pair") return "";
  return ` --private-key file:…   (to make a key: hookonce send ${provider} --make-key-pair FILE)`;
}
