import { secretNeeds, settingsOf } from "../app/sources.ts";
import { CONFIG_FILE, readConfig, sourceInvalid } from "../config/load.ts";
import { createDeliveryMasking } from "../providers/mask-delivery.ts";
import { providers } from "../providers/presets.ts";
import { kindOf } from "../providers/schemes.ts";
import type { MessageToSign } from "../providers/sign-again.ts";
import { createSource, keptParameters, type SourceSettings } from "../providers/source.ts";
import { parseJson } from "../providers/body/payload.ts";
import type { EventJson } from "../http/admin/shapes.ts";
import type { Content } from "./listen-from.ts";

/** A source of this inbox folder, as which events are signed again. */
export interface ListenSource {
  readonly settings: SourceSettings;
  /** Why its deliveries cannot be signed again; undefined if they can. */
  readonly unsigned: string | undefined;
  /** The message with masked values, or why they cannot be masked. */
  readonly messageOf: (
    event: EventJson,
    content: Content,
  ) => { readonly message: MessageToSign; readonly found: readonly string[] } | { readonly problem: string };
}

export interface ListenSources {
  /** Or why this folder cannot sign events of a source. */
  readonly of: (name: string) => ListenSource | { readonly problem: string };
  /** What must not be shown. */
  readonly secrets: readonly string[];
}

/**
 * Reads the sources of this folder. One source is enough, whatever is wrong with the others.
 *
 * @param redact paths of values to mask
 * @throws HookonceError `config_invalid` if there is no inbox folder, or a path cannot be read
 */
export function readListenSources(inboxFolder: string, redact: readonly string[]): ListenSources {
  const read = readConfig(inboxFolder, secretNeeds, process.env);
  const made = new Map<string, ReturnType<ListenSources["of"]>>();
  const make = (name: string): ReturnType<ListenSources["of"]> => {
    if (!read.written.some(([one]) => one === name))
      return {
        problem: `${CONFIG_FILE} of this folder has no source "${name}". Add it, and bring its events with --since`,
      };
    const configured = read.sources.find((one) => one.name === name);
    const preset = configured === undefined ? undefined : providers.get(configured.provider);
    if (configured === undefined || preset === undefined) {
      const { problems } = sourceInvalid(name, read);
      return { problem: problems.map(({ message }) => message).join("; ") };
    }
    return listenSource(settingsOf(configured, preset, read.sources), redact);
  };
  return {
    of(name) {
      const known = made.get(name) ?? make(name);
      made.set(name, known);
      return known;
    },
    secrets: read.sources.flatMap(({ secrets }) => secrets),
  };
}

function listenSource(settings: SourceSettings, redact: readonly string[]): ListenSource {
  const source = createSource({ ...settings, receives: false }, Date.now);
  const mask = redact.length === 0 ? undefined : createDeliveryMasking(settings, redact, source);
  return {
    settings,
    unsigned: whyUnsigned(settings),
    messageOf(event, { headers, body }) {
      const { event_id: eventId } = event;
      // An event of a batch that failed at first is stored alone.
      const payload = source.payloadOf({ headers, body }, eventId) ?? jsonIn(body);
      const message: MessageToSign = {
        id: idOf(event),
        attempt: 1,
        kind: "event",
        source: event.source,
        eventId,
        type: event.type,
        receivedAt: event.received_at,
        headers,
        body,
        payloadJson: payload.json,
      };
      return mask?.(message) ?? { message, found: [] };
    },
  };
}

function whyUnsigned(settings: SourceSettings): string | undefined {
  const { name, provider, scheme = provider.scheme } = settings;
  const why = kindOf(scheme).whyNotSignedAgain(scheme, keptParameters(settings));
  return why && `Deliveries of source "${name}" cannot be signed again, because their provider ${why}.`;
}

/** The same whenever the event is brought. */
function idOf({ source, event_id: id }: EventJson): string {
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([source, id, "listen"]));
  return `msg_${hash.digest("hex").slice(0, 32)}`;
}

function jsonIn(body: Uint8Array): { readonly json: string | null } {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return { json: null };
  }
}
