import { resolve } from "node:path";
import { signerOf, type Provider } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import type { Proof } from "../providers/schemes/scheme.ts";
import { addSource, type Added } from "../simulator/add-source.ts";
import { exampleFor, tickedFor, type Example } from "../simulator/example.ts";
import { examples } from "../simulator/examples.ts";
import { EXIT } from "./exit.ts";
import { warnOfUnknownType } from "./warning.ts";
import { patternsFor } from "../app/unknown-types.ts";
import { shellWord } from "./init.ts";
import { say } from "./terminal.ts";

export interface AddFlags {
  handlers?: boolean;
  name?: string;
  publicUrl?: string;
  /** The file, then its arguments. */
  run?: readonly string[];
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
  const run =
    flags.run === undefined
      ? undefined
      : {
          command: commandIn(flags.run),
          types: (await Promise.all(types.map((type) => patternsFor(provider, type)))).flat(),
        };
  const added = addSource({
    folder: resolve(folder),
    provider,
    example,
    types,
    name,
    publicUrl,
    handlers,
    run,
  });
  const unknown: string[] = [];
  for (const type of types) if (await warnOfUnknownType(provider, type)) unknown.push(type);
  say(nextSteps(provider, example, added, { ...flags, folder, name, given: types, unknown }).trimEnd());
  return EXIT.done;
}

/** A name without a slash is looked up in PATH. If it is not there, the file in the inbox folder is meant. */
function commandIn([program = "", ...others]: readonly string[]): string[] {
  const isFile = !/[/\\]/.test(program) && Bun.which(program) === null;
  return [isFile ? `./${program}` : program, ...others];
}

interface Asked extends AddFlags {
  readonly folder: string;
  readonly name: string;
  /** The types that were given. */
  readonly given: readonly string[];
  /** Those that the provider does not seem to have. */
  readonly unknown: readonly string[];
}

function nextSteps(provider: Provider, example: Example, added: Added, asked: Asked): string {
  const { title, scheme, docs, needs, name: providerName } = provider;
  const { folder, name, handlers = false } = asked;
  const { written, kept, types, wantedLater, listen } = added;
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  const local = `http://${listen}/webhook/${name}`;
  const ticked = tickedFor(example, typedIn(example, types));
  const lines = written.length === 0 ? [] : [`Wrote ${written.join(", ")}.`];
  if (kept.length > 0) lines.push(`Left unchanged: ${kept.join(", ")}.`);
  const at = folder === "." ? "" : ` ${shellWord(folder)}`;
  const check = `Then run: hookonce check${at}\nOr, if hookonce serve is running: hookonce reload${at}`;
  const command = asked.run === undefined ? [] : runsCommand(asked.run, added);
  if (added.existed) return `${[...lines, "", ...(handlers ? finish : []), ...command, check].join("\n")}\n`;
  const again = [
    "hookonce add",
    providerName,
    ...asked.given.map(shellWord),
    ...nameFlag(providerName, name),
  ];
  const { proof } = kindOf(scheme);
  const isLocal = proof === "none" && provider.thinPing !== true;
  const steps = [
    ...settings(added),
    ...(handlers ? [finish] : []),
    ...(command.length > 0 ? [command] : []),
    ...(handlers || command.length > 0
      ? []
      : [writeHandlers(added, title, `${again.join(" ")}${inFolder} --handlers`, asked.unknown)]),
    isLocal ? sendUnsigned(local) : register(provider, example, added, asked),
    ...values(provider, added),
  ];
  lines.push("");
  for (const [at, step] of steps.entries())
    lines.push(...step.map((line, row) => `${row === 0 ? `${at + 1}.` : "  "} ${line}`));
  if (docs.startsWith("https:")) lines.push(`   Documentation: ${docs}`);
  lines.push("", "While developing:");
  if (example.develop !== undefined)
    lines.push(`  ${example.develop.replace("URL", local).replace("EVENTS", ticked.join(","))}`);
  else if (!isLocal)
    lines.push(
      `  a tunnel: cloudflared tunnel --url http://${listen}   (use its https://… host in the URL above)`,
    );
  const send = (source: string): string => `hookonce send ${source}${inFolder}`;
  if (proof === "fetched-key") {
    const [table, command] = [`[sources.${name}-dev]`, send(`${name}-dev`)];
    lines.push(
      `  only ${signerOf({ title, needs })} can sign its deliveries, so add an unsigned source to hookonce.toml:`,
    );
    lines.push(`    ${table}`, `    provider = "unsigned"`, `    handlers = "${name}"`, `  and send to it:`);
    lines.push(`    ${command}`);
  } else {
    const once = wantedLater === undefined ? "" : "   (once you have the secret)";
    const [type] = asked.run === undefined ? [] : typedIn(example, asked.given);
    const typed = type === undefined ? "" : ` ${shellWord(type)}`;
    lines.push(`  ${send(name + typed)}${privateKeyHint(providerName, proof)}${once}`);
  }
  lines.push("", check);
  return `${lines.join("\n")}\n`;
}

const finish = [
  "Finish the handlers. Until you delete the first line of one, it fails, and its events are kept:",
  "hookonce apply runs them later. To run their tests: hookonce test",
];

function runsCommand(command: readonly string[], { script }: Added): string[] {
  if (script !== undefined)
    return [
      `Finish ${script}. It gets the payload on standard input. Until you delete its last two lines, it fails,`,
      "and its messages are kept and sent again: hookonce messages lists them.",
    ];
  return [`The command gets the payload on standard input: ${command.join(" ")}`];
}

/** What the sender decides, so that `add` could only guess it. */
function settings({ guessed, needsPublicUrl }: Added): string[][] {
  return [
    ...(guessed.length === 0
      ? []
      : [[`In hookonce.toml, correct the values that are only guesses: ${guessed.join(", ")}.`]]),
    ...(needsPublicUrl
      ? [
          [
            "In hookonce.toml, set public_url to the URL that you register: the signature covers it, so if one character is wrong, every delivery is refused.",
          ],
        ]
      : []),
  ];
}

function writeHandlers(
  { files, types }: Added,
  title: string,
  again: string,
  unknown: readonly string[],
): string[] {
  const remark = (at: number): string =>
    unknown.includes(types[at] ?? "") ? "   (an unknown type: see the warning)" : "";
  return [
    "Write what an event does, in SQL or in TypeScript (.ts), in a file for each type:",
    ...files.map((file, at) => `  ${file}${remark(at)}`),
    "Until then these events are kept as unhandled, and hookonce apply runs them later.",
    `To write starters with the paths of ${title}'s payload: ${again}`,
  ];
}

function sendUnsigned(local: string): string[] {
  return [
    "Serve it with: hookonce serve --dev. Only this machine can then send to it, because an unsigned delivery does not prove who sent it:",
    `  URL     ${local}`,
    "To receive from anyone, set allow_public = true in hookonce.toml: anyone can then send events.",
  ];
}

function register(
  { title, scheme }: Provider,
  example: Example,
  { types }: Added,
  { name, publicUrl, unknown }: Asked,
): string[] {
  const parameter = kindOf(scheme).signatureParameter(scheme);
  const boxes = example.ticksHeads === true ? "   (each box covers all its actions)" : "";
  const remark = unknown.length === 0 ? "" : `   (unknown: ${unknown.join(", ")})`;
  const typed = typedIn(example, types);
  const events = example.subscribe ?? `${tickedFor(example, typed).join(", ")}${boxes}${remark}`;
  return [
    "Register the webhook with the provider:",
    ...(typed.length === 0 ? [] : [`  where   ${example.dashboard}`]),
    `  URL     ${publicUrl ?? `https://your.host/webhook/${name}`}${parameter === undefined ? "" : `?${parameter}=…`}`,
    ...(parameter === undefined
      ? []
      : [`          … is the secret: ${title} signs nothing, and sends it with the URL`]),
    ...(typed.length === 0 ? [] : [`  events  ${events}`]),
    ...Object.values(example.untyped ?? {}).flatMap(({ dashboard, subscribe }) => [
      `  mail    ${dashboard}`,
      `          ${subscribe ?? ""}; its handler is handlers/${name}/_any`,
    ]),
  ];
}

/** Without the words that are not types, such as `inbound`. */
function typedIn(example: Example, words: readonly string[]): string[] {
  return words.filter((word) => exampleFor(example, word).type === word);
}

/** The values for .env. */
function values({ title, secretIs }: Provider, { wanted, wantedLater }: Added): string[][] {
  const given =
    wanted.length === 0
      ? []
      : [["Fill in the values in .env:", ...wanted.map((one) => `  ${one}=   ${whatIs(one, secretIs)}`)]];
  if (wantedLater === undefined) return given;
  return [
    ...given,
    [
      `Do this while hookonce serve is running: ${title} sends its secret to the URL, and hookonce shows it on the terminal. Elsewhere, run hookonce verify --last.`,
    ],
    [`Confirm the webhook at ${title} with that secret.`],
    [
      "In .env, remove the # before this line and add the secret:",
      `  ${wantedLater}=   ${whatIs(wantedLater, secretIs)}`,
      "In hookonce.toml, remove the # before secret. Then run hookonce reload.",
    ],
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
