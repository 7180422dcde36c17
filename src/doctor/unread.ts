import type { ErrorCode } from "../errors.ts";
import { signerOf } from "../providers/provider.ts";
import type { SourceSettings } from "../providers/source.ts";
import { docsOf, type Finding } from "./diagnosis.ts";
import { expectedOf } from "./facts.ts";
import { asRefused, contentFinding } from "./hints.ts";
import type { InboxDiagnosis } from "./in-inbox.ts";
import { takenFor } from "./trial.ts";

/** A refused delivery of which too little was kept to verify it again. */
export interface Unread {
  /** Why its body is missing. `secret`: any value may be the secret, so none was kept. */
  readonly body: unknown;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Says why a delivery was refused, from the refusal alone. */
export function diagnoseUnread(refused: Unread, settings: SourceSettings): InboxDiagnosis {
  const { code, message } = refused;
  const { title } = settings.provider;
  return {
    source: settings.name,
    provider: title,
    docs: docsOf(settings.provider),
    verified: false,
    refusal: { code, message },
    expected: expectedOf(takenFor(settings)),
    found: [],
    findings: [findingOf(refused, settings)],
    handshake: undefined,
    events: [],
  };
}

function findingOf({ body, code, message }: Unread, { name, provider }: SourceSettings): Finding {
  const byContent = contentFinding({ code, message });
  if (byContent !== undefined) return byContent;
  if (body === "not_read")
    return {
      cause: "not_kept",
      proven: false,
      what: "What refused it does not refuse it now. Its body was not read, so nothing else can be tried.",
      remedy: "Wait for the provider's retry, or send it again.",
    };
  if (body !== "secret")
    return {
      cause: "not_kept",
      proven: false,
      what: "Its body is larger than 1 MiB and was not kept, so nothing can be tried.",
      remedy: "Save the request, and verify it with --request.",
    };
  if (code === "signature_mismatch")
    return {
      cause: "secret_sent",
      proven: false,
      what: "The sender proves who it is only with the secret, and it sent another one. What it sent is not kept.",
      remedy: `Compare the secret at ${signerOf(provider)} with the secret of the source ${name}.`,
    };
  if (code === "signature_missing")
    return {
      cause: "secret_sent",
      proven: true,
      what: message,
      remedy: `Make ${signerOf(provider)} send the secret there, or set secret_in for this source to the place where it is.`,
    };
  return asRefused({ code, message }, { provider });
}
