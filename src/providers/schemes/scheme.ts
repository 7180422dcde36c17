import type { Delivery, Headers } from "../../event.ts";
import type { Reading } from "../body/payload.ts";
import type { KeyProblem, SchemeConfig, SchemeKey } from "./config.ts";
import { HookonceError } from "../../errors.ts";
import { weaknessOf } from "./weakness.ts";
import type {
  HeaderCheck,
  OutgoingRequest,
  SigningContext,
  SigningKeys,
  Verify,
  VerifyContext,
} from "../context.ts";

/**
 * Everything hookonce knows about one kind of scheme. Each kind is one file in this folder, and schemes.ts
 * lists them all. Nothing outside this folder asks which kind a scheme is.
 *
 * @typeParam S the literal in which a preset says how its provider signs
 */
export interface SchemeKind<S extends SchemeLiteral> extends Required<Optional<S>> {
  readonly kind: S["kind"];
  readonly proof: Proof;

  /** @throws HookonceError `config_invalid` for a secret or a scheme that cannot be used */
  createVerifier(scheme: S, context: VerifyContext): Verify;

  /** Signs a request as the provider does. */
  sign(
    scheme: S,
    request: OutgoingRequest,
    context: SigningContext,
  ): OutgoingRequest | Promise<OutgoingRequest>;

  /** What is signed and how, in a few words. */
  describe(scheme: S): string;

  /**
   * Random keys that a source of this scheme could have. The simulator signs with them if no keys are
   * configured.
   */
  makeKeys(scheme: S): SigningKeys;
}

export interface SchemeLiteral {
  readonly kind: string;
}

/**
 * How a source tells that a delivery comes from its provider.
 *
 * - `none`: it cannot, and it has no secret.
 * - `secret-sent`: the provider sends the secret itself.
 * - `shared-key`: the provider signs with the secret.
 * - `key-pair`: the provider signs with a private key, and the secret is the public key.
 * - `fetched-key`: the provider signs with a private key, and hookonce fetches the public key from the
 *   provider's own hosts, so nobody else can sign a delivery. The secret only names an account.
 */
export type Proof = "none" | "secret-sent" | "shared-key" | "key-pair" | "fetched-key";

/** What a kind may leave out; {@link defineKind} has the defaults. */
interface Optional<S> {
  /**
   * Where the signature is (or the secret, if that is sent). Default: undefined, it is in the query or in the
   * body.
   */
  signatureHeader?(scheme: S): SignatureHeader | undefined;

  /** The query parameter that holds the secret. Default: undefined. */
  signatureParameter?(scheme: S): string | undefined;

  /**
   * Refuses what the headers alone can refuse, so that nobody can make hookonce read, inflate or parse a body
   * for nothing. {@link createVerifier} must refuse the same. Default: the signature's header must be
   * present.
   */
  createHeaderCheck?(scheme: S, context: VerifyContext): HeaderCheck;

  /** The header that holds the time of signing, in lower case. Default: undefined. */
  timestampHeader?(scheme: S): string | undefined;

  /**
   * Whether the signature covers the URL. The source must then say with `public_url` which URL the provider
   * was given. Default: no.
   */
  coversUrl?(scheme: S): boolean;

  /** How far the time of signing may be from now, in seconds. Default: undefined, any age is accepted. */
  tolerance?(scheme: S): number | undefined;

  /** Why there is no tolerance, in words. Default: no time is signed. */
  whyNoTolerance?(scheme: S): string;

  /** The same scheme with another tolerance, in seconds. Default: the scheme itself. */
  withTolerance?(scheme: S, seconds: number): S;

  /**
   * How the body is read. What is verified and what is passed on must be one reading of the body: if the
   * signature covers something that is read out of the body, the payload must be made of exactly that.
   * Default: as it came, which is right if the raw bytes are signed.
   */
  reading?(scheme: S, asItCame: Reading): Reading;

  /** The keys of a source's config that this kind uses. Default: none. */
  readonly configKeys?: readonly SchemeKey[];

  /**
   * The preset's scheme, changed key by key as the config says. Default: the scheme itself.
   *
   * @throws HookonceError `config_invalid` for a path that cannot be read
   */
  configure?(scheme: S, config: SchemeConfig): S;

  /**
   * What is wrong with the config's values for {@link configKeys}. A key without an effect is an error,
   * because its user believes that it protects the source. Default: nothing.
   *
   * @param scheme the configured scheme
   */
  checkConfig?(scheme: S, config: SchemeConfig): readonly KeyProblem[];

  /** Whether a source must have a secret. Default: unless `proof` is `none`. */
  readonly needsSecret?: boolean;

  /**
   * For signatures with which their holder can send other deliveries, so they are not stored: what is kept of the
   * header in memory, for the doctor; undefined for nothing of it. Default: the header is stored.
   */
  readonly redactSignature?: ((value: string) => string | undefined) | undefined;

  /**
   * Why anybody could guess a secret, in words that follow "it" and never show the secret. Undefined if it is not
   * that weak, or cannot be read: {@link createVerifier} refuses that. Default: judged by its text.
   */
  weakness?(scheme: S, secret: string): string | undefined;

  /** How the secret becomes a key, in words. Default: undefined, the secret is not a key. */
  describeKey?(scheme: S): string | undefined;

  /**
   * What is answered when the public key of `keys` is fetched from `url`. A test inbox answers with it, so that it
   * needs no network. Default: undefined, no key is fetched from there.
   */
  servedKey?(scheme: S, keys: SigningKeys, url: string): string | undefined;

  /** Why a receiver cannot notice a changed body. Default: undefined, it can. */
  unsignedBody?(scheme: S): string | undefined;

  /** The name of a signed field, if only some fields of the body are signed. Default: undefined. */
  readonly signedField?: string | undefined;

  /**
   * Why a delivery that is sent on cannot be signed again, in words that follow "the provider". Undefined if it
   * can. Default: a private key signs.
   *
   * @param kept the parameters of the query that are stored
   */
  whyNotSignedAgain?(scheme: S, kept: readonly string[]): string | undefined;

  /**
   * Why values of the payload cannot be replaced in the body that is stored, in words that follow "but". Default:
   * undefined, they can.
   */
  readonly whyNotRedacted?: string | undefined;

  /** Whether a wrong secret is noticed before a key is fetched. Default: no. */
  readonly checksSecretFirst?: boolean;

  /** What the doctor lists as expected. Default: header, description and tolerance. */
  expectedFacts?(scheme: S): readonly Fact[];

  /**
   * What the doctor lists as found in the signature. It never shows more than the beginning of one. Default:
   * nothing.
   */
  foundFacts?(
    scheme: S,
    delivery: Delivery,
    context: Pick<VerifyContext, "secrets" | "urlOf" | "decompress">,
  ): readonly Fact[];

  /** Signed values that are not what the source expects, and what to do. The doctor lists them. Default: none. */
  wrongClaims?(scheme: S, delivery: Delivery): Iterable<{ readonly what: string; readonly remedy: string }>;

  /**
   * What shows a provider that the receiver has the secret, in answer to its challenge. Default: undefined, as
   * for a challenge that must not be answered.
   */
  answerChallenge?(scheme: S, challenge: string, secret: string): string | undefined;

  /** Other keys that a secret may mean. The doctor tries them. Default: none. */
  otherKeys?(scheme: S, secrets: readonly string[]): Iterable<Guess<S>>;

  /** Other ways in which the sender may write the signature. The doctor tries them. Default: none. */
  otherForms?(scheme: S, delivery: Delivery): Iterable<Guess<S>>;
}

export interface SignatureHeader {
  /**
   * In lower case. A `*` at its end means all headers with this beginning. They are joined with the
   * separator.
   */
  readonly header: string;
  /** What separates the parts of the header, if it has several: `,` in `t=…,v1=…`. */
  readonly separator?: string;
  /**
   * What comes before each signature: `v1=`. Every part that starts with it is a candidate; other parts are
   * skipped.
   */
  readonly prefix?: string;
  /**
   * While a secret is replaced, the provider writes a signature for each of the two, and its library accepts
   * either.
   */
  readonly several?: true;
}

/** One line of what the doctor shows. */
export interface Fact {
  readonly label: string;
  readonly text: string;
}

/** A possible cause. If the signature is right after the change, this was the cause. */
export interface Guess<S> {
  readonly change: {
    readonly scheme?: S;
    readonly secrets?: readonly string[];
    readonly delivery?: Delivery;
  };
  readonly what: string;
  readonly remedy: string;
  /** What to say instead if this is only one of two things that are wrong. */
  readonly half?: { readonly what?: string; readonly remedy?: string };
}

type Definition<S extends SchemeLiteral> = Omit<SchemeKind<S>, keyof Optional<S>> & Optional<S>;

/** Fills in what a kind leaves out. */
export function defineKind<S extends SchemeLiteral>(definition: Definition<S>): SchemeKind<S> {
  const kind: SchemeKind<S> = {
    signatureHeader: () => undefined,
    signatureParameter: () => undefined,
    createHeaderCheck: (scheme) => requireHeader(kind.signatureHeader(scheme)),
    timestampHeader: () => undefined,
    coversUrl: () => false,
    tolerance: () => undefined,
    whyNoTolerance: () => "no time is signed",
    withTolerance: (scheme) => scheme,
    reading: (_, asItCame) => asItCame,
    configKeys: [],
    configure: (scheme) => scheme,
    checkConfig: () => [],
    needsSecret: definition.proof !== "none",
    redactSignature: undefined,
    wrongClaims: () => [],
    weakness: (_, secret) => weaknessOf(secret),
    describeKey: () => undefined,
    servedKey: () => undefined,
    unsignedBody: () => undefined,
    signedField: undefined,
    whyNotSignedAgain: () => (isPrivate(definition.proof) ? PRIVATE_KEY : undefined),
    whyNotRedacted: undefined,
    checksSecretFirst: false,
    expectedFacts: (scheme) => factsOf(kind, scheme),
    foundFacts: () => [],
    answerChallenge: () => undefined,
    otherKeys: () => [],
    otherForms: () => [],
    ...definition,
  };
  return kind;
}

function isPrivate(proof: Proof): boolean {
  return proof === "key-pair" || proof === "fetched-key";
}

/** Why nobody but the provider can sign, in words that follow "the provider". */
export const PRIVATE_KEY = "signs with a private key that nobody else has";

function requireHeader(signature: SignatureHeader | undefined): HeaderCheck {
  if (signature === undefined) return () => {};
  return ({ headers }) => void headerIn(headers, signature.header);
}

/**
 * @param name in lower case
 * @throws HookonceError `signature_missing`
 */
export function headerIn(headers: Headers, name: string): string {
  const value = headers[name];
  if (value !== undefined && value !== "") return value;
  throw new HookonceError("signature_missing", `The header ${name} is missing.`);
}

function factsOf<S extends SchemeLiteral>(kind: SchemeKind<S>, scheme: S): Fact[] {
  const header = kind.signatureHeader(scheme)?.header;
  const tolerance = kind.tolerance(scheme);
  return [
    ...(header === undefined ? [] : [{ label: "header", text: header }]),
    { label: "scheme", text: kind.describe(scheme) },
    ...(tolerance === undefined ? [] : [{ label: "time", text: `at most ${tolerance} s away` }]),
  ];
}

/** Shared by the kinds whose literal holds a tolerance, in seconds. */
export const withOwnTolerance = {
  configKeys: ["tolerance"] as const,
  configure: <S extends TimedLiteral>(scheme: S, { tolerance }: SchemeConfig): S =>
    tolerance === undefined ? scheme : { ...scheme, tolerance: tolerance / 1000 },
  tolerance: ({ tolerance }: TimedLiteral): number => tolerance,
  withTolerance: <S extends TimedLiteral>(scheme: S, seconds: number): S => ({
    ...scheme,
    tolerance: seconds,
  }),
};

interface TimedLiteral {
  readonly tolerance: number;
}
