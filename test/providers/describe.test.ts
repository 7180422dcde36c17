import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describeProvider } from "../../src/providers/describe.ts";
import { providers } from "../../src/providers/presets.ts";
import packageJson from "../../package.json";
import { libraries } from "./libraries/libraries.ts";
import { readme } from "../support/readme.ts";

test("the README and the CHANGELOG say how many providers there are, to the nearest ten", () => {
  const changelog = readFileSync(join(import.meta.dir, "../../CHANGELOG.md"), "utf8");
  const TENS = ["eighty", "ninety", "a hundred"];
  const tens = TENS[Math.round(providers.size / 10) - 8];
  expect(
    [...`${readme}${changelog}`.matchAll(/\babout ((?:a )?\w+)\s+(?:other \[)?providers/g)].map(
      ([, many]) => many,
    ),
  ).toEqual([tens, tens]);
});

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
  [
    "discord",
    {
      tolerance: "none: any age is accepted until you set one",
      "sent on":
        'with sign = "standard-webhooks" or "none", because it signs with a private key that nobody else has',
    },
  ],
  [
    "github",
    { "sent on": undefined, tolerance: "none: no time is signed", key: "the secret's text as it is" },
  ],
  ["aws-sns", { tolerance: "none: its age is not checked", key: undefined }],
  ["twilio", { needs: "public_url, because the signature covers the URL" }],
  [
    "gitlab-token",
    { signature: "none; the secret itself in header:x-gitlab-token", secret: "the secret token" },
  ],
  ["hmac", { "event id": "event_id is required", type: "type is required" }],
  ["unsigned", { "event id": "body:$.event_id; not covered by the signature", type: "type is required" }],
  ["stripe", { payload: undefined }],
  ["twilio", { payload: "a form's fields; if it delivers by GET, those of the query" }],
  ["mailgun", { payload: expect.stringContaining("attachment-1, its bytes in event.files") }],
  ["plex", { payload: expect.stringContaining("the JSON in its field payload: $ begins there") }],
  ["mollie-classic", { secret: "none", tolerance: undefined }],
])("describes %s", (name, lines) => {
  const described = Object.fromEntries(describeProvider(providers.get(name)!));
  for (const [label, text] of Object.entries(lines))
    expect(described[label]).toEqual(text as string | undefined);
});

/** Schemes for senders that hookonce does not know. */
const SCHEMES = new Set(["unsigned", "hmac", "static", "public-key", "jwt"]);

const { devDependencies } = packageJson as { devDependencies: Record<string, string> };

/** When something was read that is not installed here. */
const MONTH = new RegExp(
  `, (?:${Array.from({ length: 12 }, (_, month) =>
    new Date(2026, month).toLocaleString("en", { month: "long" }),
  ).join("|")}) 20\\d\\d\\b`,
);

describe("each preset says what it was checked against", () => {
  const checked = [...providers.values()].filter(({ name }) => !SCHEMES.has(name));

  test.each(checked.map(({ name, checkedAgainst = "" }) => [name, checkedAgainst]))(
    "%s: %s",
    (name, said) => {
      const [, library = "", version] = /(?:^|, with )npm (\S+) ([\d.]+)$/.exec(said) ?? [];
      // A library that is installed here, in exactly this version.
      if (version !== undefined)
        expect({ library, version: devDependencies[library] }).toEqual({ library, version });
      // Anything else can change unnoticed.
      if (version === undefined || !said.startsWith("npm ")) expect(said).toMatch(MONTH);
      if (libraries[name] !== undefined) expect(version).toBeDefined();
    },
  );

  test("presets that are only a scheme say nothing", () => {
    for (const name of SCHEMES) expect(providers.get(name)?.checkedAgainst).toBeUndefined();
  });
});
