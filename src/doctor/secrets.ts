import { kindOf } from "../providers/schemes.ts";
import type { Hypothesis } from "./hypothesis.ts";
import { secretIn, type Examined } from "./trial.ts";

/** The secret that the delivery carries, if this is how its provider hands out the secret. */
export function* carriedSecret({ delivery, provider, secrets }: Examined): Generator<Hypothesis> {
  const carried = secretIn(delivery, provider);
  if (carried === undefined || secrets.includes(carried.secret)) return;
  yield {
    change: { secrets: [carried.secret] },
    cause: "carried_secret",
    what: `This is the request with which ${provider.title} sends its secret: it is signed with the ${carried.name} that it carries, which is not the secret of the source.`,
    remedy: `Make that ${carried.name} the source's secret, run hookonce reload, and enter it at ${provider.title}.`,
  };
}

/** The secret of another source, or one that no source uses. */
export function* otherSecrets({ settings, secrets, context }: Examined): Generator<Hypothesis> {
  for (const other of context.sources) {
    if (other.name === settings.name) continue;
    for (const secret of other.secrets.filter((one) => !secrets.includes(one))) {
      yield {
        change: { secrets: [secret] },
        cause: "secret_of_another_source",
        what: `It is signed with the secret of the source ${other.name}.`,
        remedy: `Make the provider deliver to /webhook/${other.name}, or give the source ${settings.name} that secret. The secrets of ${settings.name} and ${other.name} may have been swapped.`,
        half: { remedy: `Give the source ${settings.name} that secret.` },
      };
    }
  }
  for (const { name, secret } of context.otherSecrets ?? []) {
    if (secrets.includes(secret)) continue;
    yield {
      change: { secrets: [secret] },
      cause: "another_secret",
      what: `It is signed with ${name}, which is not the secret of the source ${settings.name}.`,
      remedy: `Make it the secret of the source ${settings.name}, or one of several: secret = ["…", "…"].`,
    };
  }
}

const SPELLINGS: readonly {
  spell: (secret: string) => string;
  what: string;
  remedy: string;
}[] = [
  {
    spell: (secret) => secret.trim(),
    what: "The configured secret has spaces or line breaks around it that do not belong to it.",
    remedy: "Remove them where the secret is stored.",
  },
  {
    spell: (secret) => secret.trim().replace(/^(["'])(.*)\1$/s, "$2"),
    what: "The configured secret is in quotation marks that do not belong to it.",
    remedy: "Remove them where the secret is stored.",
  },
  {
    // In .env, an unclosed mark is part of the value, or the next lines are.
    spell: (secret) => secret.trim().replace(/^["'`]|\n.*$/gs, ""),
    what: "The configured secret begins with a quotation mark that is not closed, or the lines after it have become part of it.",
    remedy: "Close the quotation mark, or remove it, where the secret is stored.",
  },
  {
    spell: (secret) => `whsec_${secret}`,
    what: "The configured secret lacks its beginning: whsec_ is part of the key.",
    remedy: "Copy the whole secret, with whsec_.",
  },
  {
    spell: (secret) => secret.replace(/^whsec_/, ""),
    what: "The configured secret begins with whsec_, which is not part of the key.",
    remedy: "Configure the secret without whsec_.",
  },
  {
    spell: (secret) => `${secret}\n`,
    what: "The provider's secret ends with a line break, and the configured one does not.",
    remedy: "Enter the secret again at the provider, without the line break.",
  },
  ...["\r", "\r\n"].map((end) => ({
    spell: (secret: string) => secret + end,
    what: "The provider's secret ends with a carriage return, and the configured one does not.",
    remedy:
      "Enter the secret again at the provider. If the sender reads it from a file, save that file with LF.",
  })),
  {
    spell: (secret) => secret.toLowerCase(),
    what: "The configured secret has capitals, and the provider's has none.",
    remedy: "Copy the secret from the provider exactly as it is shown there.",
  },
];

/** The right secret, copied wrongly. */
export function* otherSpellings({ secrets }: Examined): Generator<Hypothesis> {
  for (const { spell, what, remedy } of SPELLINGS) {
    // One at a time, because a secret that cannot be decoded says nothing about the others.
    for (const spelled of secrets.map(spell)) {
      if (spelled !== "" && !secrets.includes(spelled))
        yield { change: { secrets: [spelled] }, cause: "secret_spelled_otherwise", what, remedy };
    }
  }
}

/** The right secret, decoded differently. */
export function* otherKeys({ scheme, secrets }: Examined): Generator<Hypothesis> {
  for (const guess of kindOf(scheme).otherKeys(scheme, secrets)) yield { ...guess, cause: "key_decoding" };
}
