import { parseArgs } from "node:util";
import { z } from "zod";
import { messageOf } from "../../src/errors.ts";
import type { IdKind } from "./event-ids.ts";
import type { DesignName } from "./design.ts";
import { designs } from "./designs.ts";

export const usage = `bun run bench [options]: measures hookonce beside its upper bounds and its alternatives, with wrk

  --quick              one short round of ceiling, no-commit and hookonce
  --rounds <n>         how many interleaved rounds; medians are shown (5)
  --seconds <n>        how long each design is measured (4)
  --warm-up <n>        how many seconds each design runs before that, to compile its code (1)
  --only <names>       some of ${designs.map(({ name }) => name).join(", ")}
  --ids <kind>         time, random, both (both), or seconds: time-ordered by the second only
  --stored <n>         how many events \`stored\` starts with (2000000)
  --max-rate <n>       how many new events to prepare for each second (40000)
  --help
`;

export interface Flags {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly only: readonly DesignName[];
  readonly ids: readonly IdKind[];
  readonly stored: number;
  readonly maxRate: number;
  readonly quick: boolean;
}

const options = {
  quick: { type: "boolean", default: false },
  rounds: { type: "string" },
  seconds: { type: "string" },
  "warm-up": { type: "string", default: "1" },
  only: { type: "string" },
  ids: { type: "string", default: "both" },
  stored: { type: "string", default: "2000000" },
  "max-rate": { type: "string", default: "40000" },
} as const;

const count = z.coerce.number().int().positive();
/** A round of all designs must end before its signatures are five minutes old. */
const seconds = count.max(30);
const kinds: Readonly<Record<"time" | "random" | "both" | "seconds", readonly IdKind[]>> = {
  time: ["time"],
  random: ["random"],
  both: ["time", "random"],
  seconds: ["seconds"],
};

const names = designs.map(({ name }) => name);

/** @returns the flags, or a message that says what is wrong with the command line */
export function parseFlags(args: readonly string[]): Flags | string {
  try {
    const { values } = parseArgs({ args: [...args], options });
    return withDefaults(values);
  } catch (error) {
    return error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  }
}

function withDefaults(values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"]): Flags {
  const { quick } = values;
  return z
    .object({
      rounds: count,
      seconds,
      warmUpSeconds: seconds,
      only: z.array(z.enum(names)),
      ids: z.enum(["time", "random", "both", "seconds"]).transform((kind) => kinds[kind]),
      stored: count,
      maxRate: count,
      quick: z.boolean(),
    })
    .parse({
      rounds: values.rounds ?? (quick ? 1 : 5),
      seconds: values.seconds ?? (quick ? 2 : 4),
      warmUpSeconds: values["warm-up"],
      only: values.only?.split(",") ?? (quick ? ["ceiling", "no-commit", "hookonce"] : names),
      ids: values.ids,
      stored: values.stored,
      maxRate: values["max-rate"],
      quick,
    });
}
