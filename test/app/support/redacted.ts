import { expect } from "bun:test";
import { join } from "node:path";
import type { TestInbox } from "../../support/test-inbox.ts";

export const EMAIL = "jenny.rosen@example.com";

export const event = (id: string, more: object = {}): object => ({
  event_id: id,
  type: "paid",
  customer: { email: EMAIL },
  ...more,
});

/** The files beside the database, and the database itself, that contain a text. A child reads them, because of the locks. */
export function filesWith(inbox: TestInbox, text = EMAIL): string[] {
  const { stdout } = Bun.spawnSync(["grep", "-rlaF", "--", text, join(inbox.folder, "data")]);
  return stdout
    .toString()
    .split("\n")
    .filter(Boolean)
    .map((file) => file.split("/").at(-1) ?? "");
}

/** How many rows of hookonce's tables contain a text. */
export function rowsWith(inbox: TestInbox, text = EMAIL): number {
  const places = {
    hookonce_bodies: ["headers", "bytes"],
    hookonce_changed_bodies: ["headers", "body"],
    hookonce_failures: ["first_headers", "first_body", "last_headers", "last_body", "error", "stack"],
    hookonce_results: ["reply"],
    hookonce_messages: ["headers", "body", "last_error"],
  };
  return Object.entries(places).reduce((sum, [table, columns]) => {
    const where = columns.map((column) => `instr(cast(${column} as text), ?1) > 0`).join(" or ");
    return sum + Number(inbox.value(`select count(*) from ${table} where ${where}`, text));
  }, 0);
}

export async function job(inbox: TestInbox, request: object) {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  };
  const { id } = (await (await inbox.api("/api/jobs", init)).json()) as { id: string };
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await Bun.sleep(5)) {
    const view: any = await (await inbox.api(`/api/jobs/${id}`)).json(); // oxlint-disable-line typescript/no-explicit-any -- tests read single values of an answer
    if (view.state !== "running") return view;
  }
  throw new Error("the job has not ended within 60 s");
}

/** Closes the inbox, and looks for the text in every file. */
export async function nothingIsLeft(inbox: TestInbox): Promise<void> {
  expect(rowsWith(inbox)).toBe(0);
  await inbox.close();
  expect(filesWith(inbox)).toEqual([]);
}
