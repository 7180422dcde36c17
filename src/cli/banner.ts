import packageJson from "../../package.json" with { type: "json" };
import type { Ready, ReadySource } from "../app/announce.ts";
import { sumOf } from "../logging/counted.ts";
import { visible } from "../logging/visible.ts";
import { whatRuns } from "../logging/what-runs.ts";
import { isOnlyScheme } from "../providers/provider.ts";
import { kindOf } from "../providers/schemes.ts";
import { shellWord } from "./init.ts";
import { owedSteps } from "./owed-steps.ts";

interface Where {
  /** As the user named it. */
  readonly folder: string;
  /** Whether the address is another one than the config's, so that `send` must be told. */
  readonly elsewhere: boolean;
  /** Whether it loads by itself what somebody saves. */
  readonly dev: boolean;
}

/** A longer title, such as that of init's source, does not widen the column, so that 80 columns are enough. */
const WIDEST_TITLE = 20;

/** How many handlers of a source are named. */
const MAX_NAMED = 4;

/** How many commands for what is owed are shown. */
const MAX_OWED = 3;

/** What a person sees at the end of a start: what is served where, what is owed, and what to do next. */
export function banner(ready: Ready, where: Where): string {
  const { sources, database, page, owed } = ready;
  const urls = Math.max(...sources.map(({ url }) => url.length));
  const lengths = sources.map(({ provider }) => titleOf(provider).length);
  const titles = Math.max(0, ...lengths.filter((length) => length <= WIDEST_TITLE));
  const events = owed.reduce((sum, { count }) => sum + count, 0);
  const lines = [
    "",
    `hookonce ${packageJson.version} is ready. Process ${process.pid}; Ctrl+C stops it.`,
    "",
    ...sources.map(
      (source) =>
        `  ${source.url.padEnd(urls)}  ${titleOf(source.provider).padEnd(titles)}  ${handlersOf(source)}`,
    ),
    `  database ${visible(database)}`,
    ...(page === null ? [] : [`  page ${page}`]),
    "",
    ...(events === 0
      ? []
      : [
          `${sumOf(owed)} ${events === 1 ? "event is" : "events are"} owed:`,
          ...owed.map(
            (one) =>
              `  ${sumOf([one])} ${one.outcome}, source ${visible(one.source)}, type ${visible(one.type) || "(none)"}`,
          ),
          "",
        ]),
    "Next:",
    ...nextSteps(ready, where).map(([what, command]) => `  ${command}   # ${what}`),
    "",
  ];
  return lines.join("\n");
}

/** A long title does not fit, so the part in brackets is left out. */
function titleOf({ title }: ReadySource["provider"]): string {
  return title.length <= WIDEST_TITLE + 4 ? title : title.replace(/ \(.*\)$/, "");
}

function handlersOf({ handlers, destinations }: ReadySource): string {
  const named = handlers.slice(0, MAX_NAMED).map((file) => visible(file.replace(/^handlers\//, "")));
  const more = handlers.length - named.length;
  return whatRuns(more === 0 ? named : [`${named.join(", ")} and ${more} more`], destinations);
}

/** A few, each with its command. */
function nextSteps(ready: Ready, { folder, elsewhere, dev }: Where): [what: string, command: string][] {
  const { sources, owed, paused, page, hasToken } = ready;
  const inFolder = folder === "." ? "" : ` --folder ${shellWord(folder)}`;
  const steps: [string, string][] = [];
  for (const [what, first, second] of owedSteps(owed, paused, inFolder).slice(0, MAX_OWED))
    steps.push([second === undefined ? what : `${what}, then ${second}`, first]);
  const bare = sources.find(
    ({ handlers, destinations, provider }) =>
      handlers.length + destinations.length === 0 && !isOnlyScheme(provider),
  );
  if (bare !== undefined) {
    const name = bare.name === bare.provider.name ? "" : ` --name ${bare.name}`;
    const command = `hookonce add ${bare.provider.name}${name}${inFolder} --handlers`;
    steps.push([`write starters in handlers/${bare.name}/`, command]);
  }
  const sendable = sources.find(isSendable);
  const unsigned = sources.find(({ provider }) => kindOf(provider.scheme).proof === "none");
  if (sendable !== undefined) {
    const to = elsewhere ? ` --to ${sendable.url}` : "";
    steps.push(["deliver a made-up event", `hookonce send ${sendable.name}${inFolder}${to}`]);
  } else if (unsigned !== undefined) {
    const event = JSON.stringify({ event_id: "evt_1", type: "credit.added", customer: "ada", cents: 500 });
    steps.push(["deliver an event", `curl -d '${event}' ${unsigned.url}`]);
    steps.push(["add a provider", `hookonce add stripe${inFolder}`]);
  }
  if (page !== null && !hasToken)
    steps.push(["log in to the page", `hookonce token create --name me --scopes read,steer${inFolder}`]);
  const inThis = folder === "." ? "" : ` ${shellWord(folder)}`;
  steps.push(
    dev
      ? ["check a change; what you save is loaded by itself", `hookonce check${inThis}`]
      : ["check a change, and load it", `hookonce reload${inThis}`],
  );
  return steps;
}

/** Whether hookonce can sign a delivery with what the source has. */
function isSendable({ provider }: ReadySource): boolean {
  const { proof } = kindOf(provider.scheme);
  return proof !== "fetched-key" && proof !== "key-pair" && !isOnlyScheme(provider);
}
