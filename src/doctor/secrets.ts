import type { KeyFormat } from "../providers/provider.ts";
import type { Hypothesis } from "./hypothesis.ts";
import type { Examined } from "./trial.ts";

/** The secret of another source, or one that no source uses. */
export function* otherSecrets({ settings, secrets, context }: Examined): Generator<Hypothesis> {
  for (const other of context.sources) {
    if (other.name === settings.name) continue;
    for (const secret of other.secrets.filter((one) => !secrets.includes(one))) {
      yield {
        change: { secrets: [secret] },
        cause: "secret_of_another_source",
        what: `It is signed with the secret of the source ${other.name}.`,
        remedy: `Let the provider deliver to /webhook/${other.name}, or give the source ${settings.name} that secret: its own and that of ${other.name} may have been exchanged.`,
        half: { remedy: `Give the source ${settings.name} that secret.` },
      };
    }
  }
  for (const { name, secret } of context.otherSecrets ?? []) {
    if (secrets.includes(secret)) continue;
    yield {
      change: { secrets: [secret] },
      cause: "another_secret",
      what: `It is signed with another secret than that of the source ${settings.name}: with ${name}.`,
      remedy: `Name it as the secret of the source ${settings.name}, or as one of several: secret = ["…", "…"].`,
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
    what: "The configured secret has blanks or line breaks around it that are no part of it.",
    remedy: "Take them away where the secret is kept.",
  },
  {
    spell: (secret) => secret.trim().replace(/^(["'])(.*)\1$/s, "$2"),
    what: "The configured secret stands in quotation marks that are no part of it.",
    remedy: "Take them away where the secret is kept.",
  },
  {
    spell: (secret) => `whsec_${secret}`,
    what: "The configured secret lacks its beginning: whsec_ is part of the key.",
    remedy: "Copy the whole secret, with whsec_.",
  },
  {
    spell: (secret) => secret.replace(/^whsec_/, ""),
    what: "The configured secret begins with whsec_, which is no part of the key.",
    remedy: "Configure the secret without whsec_.",
  },
  {
    spell: (secret) => `${secret}\n`,
    what: "The provider's secret ends with a line break, and the configured one does not.",
    remedy: "Set the secret anew at the provider, without the line break.",
  },
  {
    spell: (secret) => secret.toLowerCase(),
    what: "The configured secret has capitals where the provider's has none.",
    remedy: "Copy the secret from the provider as it stands there.",
  },
];

/** The right secret, copied wrongly. */
export function* otherSpellings({ secrets }: Examined): Generator<Hypothesis> {
  for (const { spell, what, remedy } of SPELLINGS) {
    // One by one: what cannot be decoded says nothing of the others.
    for (const spelled of secrets.map(spell)) {
      if (spelled !== "" && !secrets.includes(spelled))
        yield { change: { secrets: [spelled] }, cause: "secret_spelled_otherwise", what, remedy };
    }
  }
}

const FORMATS: Readonly<Record<KeyFormat, string>> = {
  text: "the secret's text, as it stands",
  hex: "the bytes that the secret says in hex",
  base64: "the bytes that the secret says in base64",
  whsec: "the bytes that the secret says in base64 after whsec_",
  "whsec-or-text":
    "the bytes that the secret says in base64 after whsec_, or its text where it does not begin so",
  "whsec-and-text": "the bytes that the secret says in base64 after whsec_, or its whole text",
};

export function formatInWords(format: KeyFormat): string {
  return FORMATS[format];
}

/** The right secret, and another key made of it. */
export function* otherDecodings({ scheme, secrets }: Examined): Generator<Hypothesis> {
  if (scheme.kind !== "hmac") return;
  for (const key of ["text", "base64", "hex", "whsec"] as const) {
    if (key === scheme.key) continue;
    const what = `the key is ${FORMATS[key]}, not ${FORMATS[scheme.key]}.`;
    for (const secret of secrets) {
      yield {
        change: { scheme: { ...scheme, key }, secrets: [secret] },
        cause: "key_decoding",
        what: `The secret is right, and decoded wrongly: ${what}`,
        half: { what: `The secret is decoded wrongly: ${what}` },
        remedy: `Set signature.secret_encoding = "${key}" for this source. If the provider of this source is not the one that its config names, name that instead.`,
      };
    }
  }
}
