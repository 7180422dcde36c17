import { expect, test } from "bun:test";
import { describeProvider } from "../../src/providers/describe.ts";
import { providers } from "../../src/providers/presets.ts";
import packageJson from "../../package.json";
import { libraries } from "./libraries/libraries.ts";
import { readme } from "../support/readme.ts";

test("the README lists every provider by its name and title", () => {
  const [, table = ""] = /^## Providers\n[^]*?^\| --- .*\n((?:\|.*\n)+)/m.exec(readme) ?? [];
  const rows = [...providers.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, title }) => `| \`${name}\` | ${title} |`);
  expect(table.trim().split("\n")).toEqual(rows);
});

test.each([
  [
    "stripe",
    {
      signature: "stripe-signature: HMAC-SHA256 over {timestamp}.{body}",
      tolerance: "5 min either way; each attempt is signed again",
    },
  ],
  ["discord", { tolerance: "none: any age is accepted until you set one" }],
  ["github", { tolerance: "none: no time is signed", key: "the secret's text as it is" }],
  ["aws-sns", { tolerance: "none: its age is not checked", key: undefined }],
  ["twilio", { needs: "public_url, because the signature covers the URL" }],
  [
    "gitlab-token",
    { signature: "none; the secret itself in header:x-gitlab-token", secret: "the secret token" },
  ],
  ["hmac", { "event id": "event_id is required", type: "type is required" }],
  ["unsigned", { "event id": "body:$.event_id; not covered by the signature", type: "type is required" }],
  ["mollie-classic", { secret: "none", tolerance: undefined }],
])("describes %s", (name, lines) => {
  const described = Object.fromEntries(describeProvider(providers.get(name)!));
  for (const [label, text] of Object.entries(lines)) expect(described[label]).toBe(text);
});

/** Schemes for senders that hookonce does not know. */
const SCHEMES = new Set(["unsigned", "hmac", "static", "public-key", "jwt"]);

test("each preset says what it was checked against, in the version that the tests use", () => {
  const { devDependencies } = packageJson as { devDependencies: Record<string, string> };
  for (const { name, checkedAgainst } of providers.values()) {
    expect({ name, says: checkedAgainst !== undefined }).toEqual({ name, says: !SCHEMES.has(name) });
    const [, library = "", version] = /npm (\S+) ([\d.]+)$/.exec(checkedAgainst ?? "") ?? [];
    if (libraries[name] !== undefined)
      expect({ name, library, version }).toEqual({ name, library, version: devDependencies[library] });
  }
});
