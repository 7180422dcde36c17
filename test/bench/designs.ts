import { join } from "node:path";
import type { Design } from "./design.ts";
import { databaseOf } from "./inbox-folder.ts";

const server = (name: string): string => join(import.meta.dir, "servers", `${name}.ts`);
const bun = process.execPath;

const listedEvents = (folder: string) => ({
  database: databaseOf(folder),
  sql: "select count(*) as count from hookonce_events",
});

/** The designs that are measured side by side. */
export const designs: readonly Design[] = [
  {
    name: "ceiling",
    title: "raw Bun.serve (the ceiling)",
    load: "anything",
    command: ({ port }) => [bun, server("ceiling"), `${port}`],
  },
  {
    name: "no-commit",
    title: "hookonce without its commit",
    load: "anything",
    command: ({ port, folder }) => [bun, server("no-commit"), `${port}`, folder],
  },
  {
    name: "hookonce",
    title: "hookonce, FULL",
    load: "new events",
    command: ({ port, folder, binary }) => [binary, "serve", folder, "--listen", `127.0.0.1:${port}`],
    stored: listedEvents,
  },
  {
    name: "one-per-event",
    title: "one transaction per event, FULL",
    load: "new events",
    command: ({ port, folder }) => [bun, server("one-per-event"), `${port}`, folder],
    stored: listedEvents,
  },
  {
    name: "tutorial",
    title: "the tutorial's way, FULL",
    load: "new events",
    command: ({ port, folder }) => [bun, server("tutorial"), `${port}`, join(folder, "tutorial.db")],
    stored: (folder) => ({
      database: join(folder, "tutorial.db"),
      sql: "select count(*) as count from processed_events",
    }),
  },
  {
    name: "duplicates",
    title: "hookonce, only duplicates",
    load: "duplicates",
    command: ({ port, folder, binary }) => [binary, "serve", folder, "--listen", `127.0.0.1:${port}`],
    stored: listedEvents,
  },
  {
    name: "stored",
    title: "hookonce, many events stored",
    load: "new events",
    onStored: true,
    command: ({ port, folder, binary }) => [binary, "serve", folder, "--listen", `127.0.0.1:${port}`],
    stored: listedEvents,
  },
];
