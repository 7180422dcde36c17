import { expect, test } from "bun:test";
import { createSocketApp } from "../../src/http/admin/listener.ts";
import { createAdminApp } from "../../src/http/admin/routes.ts";
import type { BackgroundJobs, JobRequest } from "../../src/inbox/background-jobs.ts";
import { adminInbox } from "../support/admin-inbox.ts";

/** Posts a job. Returns the answer and the jobs that were started. */
async function post(job: object): Promise<{ status: number; text: string; started: readonly JobRequest[] }> {
  const started: JobRequest[] = [];
  const jobs = {
    start: (request) => Promise.resolve(`job_${started.push(request)}`),
  } as Partial<BackgroundJobs> as BackgroundJobs;
  const admin = createAdminApp(adminInbox({ jobs }));
  const answer = await createSocketApp(admin).request("/api/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(job),
  });
  return { status: answer.status, text: await answer.text(), started };
}

test("POST /api/jobs takes ids with a source and a limit", async () => {
  const { status, started } = await post({
    action: "apply",
    ids: ["evt_1"],
    filter: { source: "shop", limit: 1 },
  });
  expect(status).toBe(202);
  expect(started).toEqual([
    { action: "apply", filter: { source: "shop", ids: ["evt_1"] }, limit: 1, dryRun: false },
  ]);
});

test("answers and refusals end with one line break", async () => {
  for (const job of [{ action: "apply", ids: ["evt_1"] }, { action: "none" }])
    expect((await post(job)).text).toMatch(/\}\n$/);
});

for (const filter of [{ type: "paid" }, { outcome: "failed" }, { since: 1 }, { until: 1 }])
  test(`POST /api/jobs refuses ids with ${JSON.stringify(filter)} instead of ignoring the filter`, async () => {
    const { status, text, started } = await post({ action: "apply", ids: ["evt_1"], filter });
    expect([status, started]).toEqual([400, []]);
    expect(text).toContain(
      "Give ids or a filter, not both. With ids, only source, destination and limit are allowed.",
    );
  });
