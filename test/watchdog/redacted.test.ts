import { expect } from "bun:test";
import { join } from "node:path";
import { testInFullRun as test } from "../crash/requirements.ts";
import { ts } from "../handlers/sources.ts";
import { EMAIL } from "../app/support/redacted.ts";
import { service, type Service } from "./service.ts";

/** What a process of `serve` leaves in its files of values that `redact` names, also in the marker. */

const start = (): Promise<Service> =>
  service({
    "hookonce.toml": `version = 1
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
redact = ["body:$.email"]
`,
    "handlers/default/good.sql": "select 1;",
    "handlers/default/hangs.ts": ts("if (event.payload.hang) while (true);"),
  });

/** The files in the folder of the database that contain the value. */
function filesWithIt({ folder }: Service): string[] {
  const { stdout } = Bun.spawnSync(["grep", "-rlaF", EMAIL, join(folder, "data")]);
  return stdout
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((file) => file.split("/").at(-1) ?? "");
}

const status = async (it: Service, type: string, more: object = {}): Promise<unknown> =>
  (await it.deliver({ event_id: `evt_${type}`, type, email: EMAIL, ...more })).body["status"];

test("after kill -9, no file has the values of events that were done at once", async () => {
  await using it = await start();
  expect(await status(it, "good")).toBe("processed");
  expect(await status(it, "hangs")).toBe("processed");
  expect(filesWithIt(it)).toEqual([]);
  it.server.signal("SIGKILL");
  await it.ended();
  expect(it.modeOf("marker")).toBe("600");
  expect(filesWithIt(it)).toEqual([]);
});

test("an event whose handler has hung is whole until it is done, and a stop leaves nothing of it", async () => {
  await using it = await start();
  await it.deliver({ event_id: "evt_hangs", type: "hangs", email: EMAIL, hang: true });
  await it.restarted();
  expect(filesWithIt(it)).not.toEqual([]);
  it.server.signal("SIGTERM");
  expect(await it.ended()).toBe(0);
  // Another version of the handler ends the quarantine.
  it.write({ "handlers/default/hangs.ts": ts("") });
  await it.start();
  expect(await status(it, "hangs")).toBe("processed");
  it.server.signal("SIGTERM");
  expect(await it.ended()).toBe(0);
  expect(filesWithIt(it)).toEqual([]);
});
