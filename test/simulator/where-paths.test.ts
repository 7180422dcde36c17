import { expect, test } from "bun:test";
import { check } from "../../src/app/check.ts";
import { warnOfWherePaths } from "../../src/simulator/where-paths.ts";
import { scratch } from "../cli/support/hookonce.ts";

/** What is found in a source of GitHub that sends these elements on. */
async function warnings(...forward: string[]): Promise<string[]> {
  using inbox = scratch({
    "hookonce.toml": `version = 1
[sources.github]
provider = "github"
secret = "env:S"
forward = [
${forward.map((one) => `  { to = "app", ${one} },\n`).join("")}]
[destinations.app]
url = "http://app/"
`,
  });
  const { config, sources } = await check(inbox.path, {
    environment: { S: "a-long-secret" },
    clock: Date.now,
  });
  return warnOfWherePaths(config?.sources ?? [], sources).map(({ line, message }) => `${line}: ${message}`);
}

test.each([
  [
    `types = ["push"], where = ":payload ->> '$.reff' = 'refs/heads/main'"`,
    "6: sources.github.forward.where: :payload ->> '$.reff' is in no made-up event of GitHub. Did you mean $.ref?",
  ],
  [
    `types = ["issues.*"], where = ":payload ->> '$.full_name' = 'ada/engine'"`,
    "6: sources.github.forward.where: :payload ->> '$.full_name' is in no made-up event of GitHub. Did you mean $.repository.full_name?",
  ],
])("%s has a misspelled path", async (element, warning) => {
  expect(await warnings(element)).toEqual([warning]);
});

test("each element is looked at, and paths that are right or unlike any other are not reported", async () => {
  expect(
    await warnings(
      `types = ["push"], where = ":payload ->> '$.ref' = 'refs/heads/main'"`,
      `where = ":payload ->> '$.repository.full_name' = 'ada/engine' and :type <> 'push'"`,
      `types = ["push", "release.*"], where = ":payload ->> '$.deployment_status.environment_url' is null"`,
      `types = ["push"], where = ":payload ->> '$.repositry.full_name' = 'ada/engine'"`,
    ),
  ).toEqual([
    "9: sources.github.forward.where: :payload ->> '$.repositry.full_name' is in no made-up event of GitHub. Did you mean $.repository.full_name?",
  ]);
});
