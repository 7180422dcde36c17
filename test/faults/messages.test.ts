import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { scratch, serve, type Scratch } from "../cli/support/hookonce.ts";
import { onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { receiveMessages, until } from "../outbox/support/received.ts";
import { mountSmallDisk, needsMount } from "./small-disk.ts";

/** The receiver has answered, and what became of the messages cannot be written for a while. */

const COUNT = 40;

const configOf = (url: string): string => `version = 1

[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
forward = ["app"]

[destinations.app]
url = "${url}"
sign = "none"
`;

/** Answers nothing until it is released. */
function heldReceiver() {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const receiver = receiveMessages(async () => {
    await released;
    return new Response("ok");
  });
  return { receiver, release };
}

function delivered({ path }: Scratch): number {
  using database = new Database(join(path, "data/hookonce.db"), { readonly: true });
  const found = database.query("select count(*) from hookonce_messages where state = 'delivered'");
  return Number(found.values()[0]?.[0]);
}

const ids = Array.from({ length: COUNT }, (_, index) => `e${index}`);

describe("what became of messages", () => {
  testUnless(
    onlyInFullRun(),
    "is written after another process has held the lock for 10 s, and none is sent twice",
    async () => {
      const { receiver, release } = heldReceiver();
      await using _ = receiver;
      using inbox = scratch({ "hookonce.toml": configOf(receiver.url) });
      await using server = await serve(inbox.path);
      await Promise.all(ids.map((id) => server.post("/webhook", { event_id: id, type: "a" })));
      await until("the first ones are being sent", () => receiver.received.length > 0);
      {
        using other = new Database(join(inbox.path, "data/hookonce.db"));
        other.run("pragma busy_timeout = 5000");
        other.run("begin immediate");
        release();
        await until("all have arrived", () => receiver.received.length === COUNT);
        await Bun.sleep(10_000);
        expect(receiver.received).toHaveLength(COUNT);
        other.run("rollback");
      }
      await until("all are settled", () => delivered(inbox) === COUNT);
      expect(receiver.received).toHaveLength(COUNT);
    },
    60_000,
  );

  testUnless(
    onlyInFullRun() ?? needsMount(),
    "is written once a full disk has room again, and none is sent twice",
    async () => {
      const { receiver, release } = heldReceiver();
      await using _ = receiver;
      using inbox = scratch({ "hookonce.toml": configOf(receiver.url) });
      const data = join(inbox.path, "data");
      mkdirSync(data);
      await using disk = mountSmallDisk(data, 8);
      await using server = await serve(inbox.path);
      await Promise.all(ids.map((id) => server.post("/webhook", { event_id: id, type: "a" })));
      await until("the first ones are being sent", () => receiver.received.length > 0);
      disk.fill();
      // The log has room for some more in pages that it has already.
      for (let n = 0; (await server.post("/webhook", { event_id: `f${n}`, type: "a" })).status === 200; n++)
        if (n > 50_000) throw new Error("the disk does not get full");
      release();
      await server.logged("results of attempts could not be recorded, and are kept in memory until they can");
      await Bun.sleep(3000);
      await disk.free();
      const written = (): number => {
        using database = new Database(join(data, "hookonce.db"), { readonly: true });
        return Number(database.query("select count(*) from hookonce_messages").values()[0]?.[0]);
      };
      await until("all are settled", () => delivered(inbox) === written());
      expect(receiver.received).toHaveLength(written());
      expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(written());
    },
    60_000,
  );
});
