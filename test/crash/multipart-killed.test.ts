import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { newPart, writeMultipart } from "../../src/providers/body/multipart.ts";
import { run, scratch, serve, type Serving } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "./requirements.ts";

const HANDLER = `import { handler } from "hookonce";
import { sql } from "drizzle-orm";
export default handler(({ event, db }) => {
  for (const { bytes } of event.files) db.run(sql\`insert into photos values (\${event.id}, \${bytes})\`);
});`;

/** Other bytes for each event, and more than fit into one read. */
function photoOf(id: string): Buffer {
  const block = createHash("sha512").update(id).digest();
  return Buffer.concat(Array.from({ length: 2000 }, () => block));
}

/** Each delivery has another boundary. */
async function deliver({ url }: Serving, id: string): Promise<string> {
  const type = `multipart/form-data; boundary=${crypto.randomUUID()}`;
  const parts = [
    newPart("event_id", id),
    newPart("photo", photoOf(id), { filename: `${id}.jpg`, type: "image/jpeg" }),
  ];
  const headers = { "content-type": type };
  const body = writeMultipart(headers, parts);
  const response = await fetch(`${url}/webhook`, { method: "POST", headers, body });
  return ((await response.json()) as { status: string }).status;
}

function photosIn(folder: string): [id: string, isRight: boolean][] {
  using db = new Database(join(folder, "data/hookonce.db"), { readonly: true });
  const rows = db.query("select id, bytes from photos order by id").all() as {
    id: string;
    bytes: Uint8Array;
  }[];
  return rows.map(({ id, bytes }) => [id, photoOf(id).equals(bytes)]);
}

testUnless(
  onlyInFullRun(),
  "files of multipart forms are stored once and whole, whenever serve is killed, also by a later apply",
  async () => {
    using folder = scratch({
      "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
      "migrations/0001.sql": "create table photos (id text, bytes blob) strict;",
    });
    const ids = Array.from({ length: 60 }, (_, n) => `evt_${String(n).padStart(2, "0")}`);
    const expected = ids.map((id) => [id, true]);

    /** Delivers each event until it is answered, and kills serve twice on the way. */
    const deliverAll = async (wanted: readonly string[]): Promise<void> => {
      let left = ids;
      for (const kills of [true, true, false]) {
        await using server = await serve(folder.path);
        let answered = 0;
        const results = await Promise.all(
          left.map(async (id) => {
            try {
              const said = await deliver(server, id);
              if (kills && ++answered === 15) server.signal("SIGKILL");
              return { id, said };
            } catch {
              return { id, said: undefined }; // killed before it was answered
            }
          }),
        );
        for (const { said } of results) if (said !== undefined) expect(wanted).toContain(said);
        // What was answered is delivered again, too.
        left = kills ? ids : results.filter(({ said }) => said === undefined).map(({ id }) => id);
      }
      expect(left).toEqual([]);
    };

    await deliverAll(["unhandled"]);
    folder.write({ "handlers/default/_any.ts": HANDLER });
    const applied = await run(["apply", "--folder", folder.path]);
    expect(applied).toMatchObject({ code: 0 });
    expect(photosIn(folder.path)).toEqual(expected as [string, boolean][]);
    await deliverAll(["duplicate"]);
    expect(photosIn(folder.path)).toEqual(expected as [string, boolean][]);
  },
  120_000,
);

testUnless(
  onlyInFullRun(),
  "files of multipart forms are stored once if serve is killed while handlers run",
  async () => {
    using folder = scratch({
      "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type     = "body:$.type"
`,
      "migrations/0001.sql": "create table photos (id text, bytes blob) strict;",
      "handlers/default/_any.ts": HANDLER,
    });
    const ids = Array.from({ length: 60 }, (_, n) => `evt_${String(n).padStart(2, "0")}`);
    const accepted = new Set<string>();
    for (const round of [1, 2, 3, 4]) {
      await using server = await serve(folder.path);
      await Promise.all(
        ids.map(async (id) => {
          const said = await deliver(server, id).catch(() => "killed");
          expect(["processed", "duplicate", ...(round < 4 ? ["killed"] : [])]).toContain(said);
          if (said !== "killed") accepted.add(id);
          if (round < 4 && accepted.size >= round * 15) server.signal("SIGKILL");
        }),
      );
      if (round === 4) continue;
      server.signal("SIGKILL");
      await server.ended;
      // Whatever was answered is there.
      const stored = new Set(photosIn(folder.path).map(([id]) => id));
      for (const id of accepted) expect(stored).toContain(id);
    }
    expect(photosIn(folder.path)).toEqual(ids.map((id) => [id, true]));
  },
  120_000,
);
