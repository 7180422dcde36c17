import { join } from "node:path";
import { z } from "zod";
import type { LoadFile } from "./load-file.ts";

export const CONNECTIONS = 64;

export interface WrkOptions {
  readonly url: string;
  readonly seconds: number;
  readonly load: LoadFile;
  /** The part of the file to send. It is sent again from its start if it is too short. */
  readonly first: number;
  readonly count: number;
}

const output = z.object({
  /** Requests handed to connections. Up to one per connection was not answered before the end. */
  sent: z.number(),
  answered: z.number(),
  durationUs: z.number(),
  p50Us: z.number(),
  p99Us: z.number(),
  /** Answers of 400 and above, as wrk counts them. */
  not200: z.number(),
  socketErrors: z.number(),
});

export interface WrkResult extends z.infer<typeof output> {
  /** CPU time of wrk itself. */
  readonly cpuUs: number;
}

/** Runs wrk with one thread, so that the server has the other core. */
export async function runWrk({ url, seconds, load, first, count }: WrkOptions): Promise<WrkResult> {
  const options = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--timeout", "10s", "--latency"];
  const script = ["-s", join(import.meta.dir, "wrk.lua")];
  const file = [load.path, load.requestBytes, first, count].map(String);
  const wrk = Bun.spawn(["wrk", ...options, ...script, url, "--", ...file], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, errors, code] = await Promise.all([wrk.stdout.text(), wrk.stderr.text(), wrk.exited]);
  const json = text.split("\n").findLast((line) => line.startsWith("{"));
  if (code !== 0 || json === undefined) throw new Error(`wrk ended with ${code}:\n${text}${errors}`);
  return { ...output.parse(JSON.parse(json)), cpuUs: Number(wrk.resourceUsage()?.cpuTime.total ?? 0) };
}
