import { diagnose } from "../../src/doctor/diagnose.ts";
import type { Diagnosis, DoctorContext } from "../../src/doctor/diagnosis.ts";
import type { Delivery } from "../../src/event.ts";
import type { OutgoingRequest } from "../../src/providers/context.ts";
import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { Scheme } from "../../src/providers/schemes.ts";
import type { SourceSettings } from "../../src/providers/source.ts";
import { sign } from "../../src/providers/verifier.ts";

export const NOW = Date.parse("2026-01-31T12:00:00Z");

/** Has a non-ASCII letter, slashes, and a decimal fraction. */
export const BODY =
  '{"id":"evt_1","type":"order.paid","url":"https://a.example/x","name":"Zoë & Co","price":10.5}';

export function preset(name: string): Provider {
  const found = providers.get(name);
  if (found === undefined) throw new Error(`no preset ${name}`);
  return found;
}

/** A source of a preset, with the preset's name. */
export function source(provider: string, secret: string, more: Partial<SourceSettings> = {}): SourceSettings {
  return { name: provider, provider: preset(provider), secrets: [secret], ...more };
}

/** A delivery as the provider makes it, by default signed at NOW. */
export async function signed(
  provider: string,
  secret: string,
  request: Partial<OutgoingRequest> & { text?: string; scheme?: Scheme; at?: number } = {},
): Promise<Delivery> {
  const { text, scheme, at = NOW, ...more } = request;
  const made = await sign(
    scheme === undefined ? preset(provider) : { scheme },
    {
      method: "POST",
      url: `http://localhost:8787/webhook/${provider}`,
      headers: { "content-type": "application/json" },
      body: Buffer.from(text ?? BODY),
      ...more,
    },
    { secret },
    at,
  );
  return { ...made, receivedAt: NOW, remoteAddress: () => "127.0.0.1" };
}

export function withBody(delivery: Delivery, body: string | Uint8Array): Delivery {
  return { ...delivery, body: typeof body === "string" ? Buffer.from(body) : body };
}

export function withHeaders(delivery: Delivery, change: Record<string, string | undefined>): Delivery {
  const headers = Object.entries({ ...delivery.headers, ...change }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return { ...delivery, headers: Object.fromEntries(headers) };
}

export async function examineIt(
  delivery: Delivery,
  settings: SourceSettings,
  context: Partial<DoctorContext> = {},
): Promise<Diagnosis> {
  return diagnose(delivery, settings, {
    nowMs: NOW,
    fetch: () => Promise.reject(new Error("nothing is fetched here")),
    sources: [settings],
    ...context,
  });
}
