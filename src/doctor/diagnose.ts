import type { HookonceError } from "../errors.ts";
import type { Delivery } from "../event.ts";
import type { SourceSettings } from "../providers/source.ts";
import { ageFindings } from "./age.ts";
import { otherBodies } from "./bodies.ts";
import { docsOf, type Diagnosis, type DoctorContext, type Finding } from "./diagnosis.ts";
import { expectedOf, foundIn } from "./facts.ts";
import { elsewhere, otherForms } from "./headers.ts";
import { asRefused, hints, isOfNoSignature, unknownCause } from "./hints.ts";
import { MAX_BODY_OF_PAIRS, type Hypothesis } from "./hypothesis.ts";
import { otherProviders, otherSources } from "./other-provider.ts";
import { carriedSecret, otherKeys, otherSecrets, otherSpellings } from "./secrets.ts";
import { examine, fits, isAge, refusalOf, tooLarge, type Examined } from "./trial.ts";
import { otherUrls } from "./urls.ts";

/** What may be wrong. Each is tried alone, then every two together. */
const HYPOTHESES: readonly ((examined: Examined) => Iterable<Hypothesis>)[] = [
  otherSources,
  carriedSecret,
  otherSecrets,
  otherSpellings,
  otherKeys,
  elsewhere,
  otherForms,
  otherProviders,
  otherUrls,
  otherBodies,
];

/** The most pairs that are tried: about a second of work. */
const MAX_PAIRS = 20_000;

/**
 * The most bytes that are hashed for each kind of hypothesis, and for all pairs together. The likeliest
 * hypotheses come first.
 */
const MAX_BYTES = 512 * 1024 * 1024;

/**
 * The signature doctor: whether a source accepts a delivery and, if not, why. It finds the cause by trying.
 *
 * @param source the source that the delivery was sent to
 */
export async function diagnose(
  delivery: Delivery,
  source: SourceSettings,
  context: DoctorContext,
): Promise<Diagnosis> {
  const examined = examine(delivery, source, context);
  const refusal =
    context.refused ??
    tooLarge(examined) ??
    (context.handshake === undefined ? await refusalOf(examined) : undefined);
  return {
    source: source.name,
    provider: source.provider.title,
    docs: docsOf(source.provider),
    verified: refusal === undefined,
    refusal: refusal === undefined ? undefined : { code: refusal.code, message: refusal.message },
    expected: expectedOf(examined),
    found: foundIn(examined),
    findings: refusal === undefined ? [] : await findingsOf(examined, refusal),
  };
}

async function findingsOf(examined: Examined, refusal: HookonceError): Promise<Finding[]> {
  const { rejections, nowMs } = examined.context;
  // serve checks the age of a token only once its signature is right, and the doctor may not have the signature.
  if (isAge(refusal) && (examined.context.refused === refusal || (await fits(examined)))) {
    const found = ageFindings(refusal, rejections, nowMs);
    return found.length > 0 ? found : [asRefused(refusal, examined)];
  }
  if (isOfNoSignature(refusal)) return [asRefused(refusal, examined)];

  const { found, trial } = await tryOut(examined);
  if (trial === undefined) {
    const hinted = hints(examined, refusal);
    const certain = hinted.some(({ proven, cause }) => proven || cause === "other_provider");
    if (certain) return hinted;
    // Only if the signature itself does not match may the secret be wrong.
    return refusal.code === "signature_mismatch"
      ? [...hinted, unknownCause(examined)]
      : [asRefused(refusal, examined), ...hinted];
  }
  // Once this is fixed, the delivery may still be too old.
  const left = await refusalOf(trial);
  return [...found, ...(left === undefined ? [] : ageFindings(left, rejections, nowMs))];
}

/** Finds changes that make the signature right: single ones or, if there are none, two at once. */
async function tryOut(examined: Examined): Promise<{ found: Finding[]; trial: Examined | undefined }> {
  const found: Finding[] = [];
  let trial: Examined | undefined;
  for (const hypotheses of HYPOTHESES) {
    let bytesLeft = MAX_BYTES;
    for (const hypothesis of hypotheses(examined)) {
      const changed = { ...examined, ...hypothesis.change };
      if ((bytesLeft -= changed.delivery.body.byteLength) < 0) break;
      if (!(await fits(changed))) continue;
      trial ??= changed;
      found.push(findingOf(hypothesis));
      break; // others of the same kind would say the same in other words
    }
  }
  return found.length > 0 ? { found, trial } : tryPairs(examined);
}

async function tryPairs(examined: Examined): Promise<{ found: Finding[]; trial: Examined | undefined }> {
  if (examined.delivery.body.byteLength > MAX_BODY_OF_PAIRS) return { found: [], trial: undefined };
  let left = MAX_PAIRS;
  let bytesLeft = MAX_BYTES;
  for (const [index, firsts] of HYPOTHESES.entries()) {
    for (const first of firsts(examined)) {
      if (first.unlikely === true) continue;
      const once: Examined = { ...examined, ...first.change };
      for (const seconds of HYPOTHESES.slice(index + 1)) {
        for (const second of seconds(once)) {
          const trial: Examined = { ...once, ...second.change };
          bytesLeft -= trial.delivery.body.byteLength;
          if (--left < 0 || bytesLeft < 0) return { found: [], trial: undefined };
          if (await fits(trial)) return { found: halves(first, second), trial };
        }
      }
    }
  }
  return { found: [], trial: undefined };
}

function findingOf({ cause, what, remedy }: Hypothesis): Finding {
  return { cause, proven: true, what, remedy };
}

/** Returns the findings for two changes that make the signature right only together. */
function halves(...pair: [Hypothesis, Hypothesis]): Finding[] {
  return pair.map(({ half, ...whole }, index) => {
    const { what, remedy } = { ...whole, ...half };
    const place = index === 0 ? "Two things are wrong at once. The first: " : "The second: ";
    return findingOf({ ...whole, what: place + what, remedy });
  });
}
