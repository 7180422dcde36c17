import { describe, expect, test } from "bun:test";
import { readToml } from "../../src/config/toml.ts";
import { newConfig, planCommand } from "../../src/simulator/add-command.ts";

/** The text of hookonce.toml once `hookonce add github push --run ./deploy.sh` has changed it. */
function changed(text: string, types: readonly string[] = ["push"], command = ["./deploy.sh"]): string {
  const plan = planCommand(readToml(text).value, "github", { command, types });
  return newConfig({ text, existed: true }, "", "github", plan);
}

const SOURCE = '[sources.github]\nprovider = "github"\n';
const DEPLOY = '\n[destinations.deploy]\ncommand = ["./deploy.sh"]\n';
const PUSH = '{ to = "deploy", types = ["push"] }';

describe("add --run changes one line of a source that exists, and appends the destination", () => {
  const scenarios: Record<string, [before: string, after: string]> = {
    "without forward": [SOURCE, `${SOURCE}forward = [${PUSH}]\n${DEPLOY}`],
    "between other sources": [
      `${SOURCE}secret = "env:S" # ours\n[sources.other]\nprovider = "stripe"\n`,
      `[sources.github]\nprovider = "github"\nforward = [${PUSH}]\nsecret = "env:S" # ours\n[sources.other]\nprovider = "stripe"\n${DEPLOY}`,
    ],
    "with forward and a comment": [
      `${SOURCE}forward = ["app"] # to Rails\n[destinations.app]\nurl = "http://app/"\n`,
      `${SOURCE}forward = ["app", ${PUSH}] # to Rails\n[destinations.app]\nurl = "http://app/"\n${DEPLOY}`,
    ],
    "with the same destination for other types": [
      `${SOURCE}forward = [{ to = "deploy", types = ["release"] }]\n${DEPLOY}`,
      `${SOURCE}forward = [{ to = "deploy", types = ["release"] }, ${PUSH}]\n${DEPLOY}`,
    ],
    "with the same destination for the same types": [
      `${SOURCE}forward = [{ to = "deploy", types = ["release", "push"] }]\n${DEPLOY}`,
      `${SOURCE}forward = [{ to = "deploy", types = ["release", "push"] }]\n${DEPLOY}`,
    ],
    "with the same destination for all events": [
      `${SOURCE}forward = ["deploy"]\n${DEPLOY}`,
      `${SOURCE}forward = ["deploy"]\n${DEPLOY}`,
    ],
    "with the destination, but without forward": [
      `${SOURCE}${DEPLOY}`,
      `${SOURCE}forward = [${PUSH}]\n${DEPLOY}`,
    ],
    "with another command under the name": [
      `${SOURCE}[destinations.deploy]\ncommand = ["/srv/deploy.sh"]\n`,
      `${SOURCE}forward = [{ to = "deploy-2", types = ["push"] }]\n[destinations.deploy]\ncommand = ["/srv/deploy.sh"]\n\n[destinations.deploy-2]\ncommand = ["./deploy.sh"]\n`,
    ],
    "with a source of the name": [
      `${SOURCE}[sources.deploy]\nprovider = "stripe"\n`,
      `${SOURCE}forward = [{ to = "deploy-2", types = ["push"] }]\n[sources.deploy]\nprovider = "stripe"\n\n[destinations.deploy-2]\ncommand = ["./deploy.sh"]\n`,
    ],
    "with the line ends of Windows, and none at the end": [
      '[sources.github]\r\nprovider = "github"',
      `[sources.github]\r\nprovider = "github"\nforward = [${PUSH}]\n${DEPLOY}`,
    ],
  };
  test.each(Object.entries(scenarios))("%s", (_, [before, after]) => {
    expect(changed(before)).toBe(after);
  });

  test("and for all events, one element replaces those for some types", () => {
    const before = `${SOURCE}forward = ["app", ${PUSH}]\n${DEPLOY}`;
    expect(changed(before, [])).toBe(`${SOURCE}forward = ["app", "deploy"]\n${DEPLOY}`);
  });
});

describe("add --run says what to write if the source is written in another way", () => {
  const scenarios: Record<string, string> = {
    "a list on several lines": `${SOURCE}forward = [\n  "app",\n]\n`,
    "an inline table": 'sources = { github = { provider = "github", forward = ["app"] } }\n',
    "several keys on a line": 'sources.github = { provider = "github", forward = ["app"] }\n',
  };
  test.each(Object.entries(scenarios))("%s", (_, text) => {
    expect(() => changed(text)).toThrow(
      `hookonce.toml is written in a way that hookonce does not change. Write this into the source "github":

forward = ["app", ${PUSH}]

And at the end of the file:
${DEPLOY}`,
    );
  });
});

test.each([
  [["./scripts/Deploy It.sh"], "deploy-it"],
  [["/usr/bin/python3", "run.py"], "python3"],
  [["./.hidden"], "hidden"],
  [["./日本.sh"], "command"],
])("%j makes the destination %s", (command, name) => {
  expect(planCommand({}, "github", { command, types: [] }).destination).toBe(name);
});
