import { providers } from "../../src/providers/presets.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { sign } from "../../src/providers/verifier.ts";
import { libraries, signWith } from "./libraries/libraries.ts";
import type { Library } from "./libraries/library.ts";
import { URL_OF_IT } from "./preset-samples.ts";

/** A provider whose deliveries a test writes itself, signed by the provider's own library. */
export interface SignedProvider {
  readonly name: "stripe" | "github" | "razorpay" | "standard-webhooks";
  readonly signatureHeader: string;
  /** Every other header that the signature covers. */
  readonly signedHeaders: readonly string[];
  readonly secrets: readonly [current: string, old: string];
  /** A JSON body with the id and the type where the provider puts them. */
  body(id: string, type: string): string;
  /**
   * The headers of a delivery.
   *
   * @param signing `at`: the time of signing, in Unix seconds
   */
  sign(body: string, signing: { secret: string; id: string; at: number }): Promise<Record<string, string>>;
}

function signedProvider({
  headers,
  ...given
}: Omit<SignedProvider, "sign"> & { headers: (id: string) => Record<string, string> }): SignedProvider {
  const preset = providers.get(given.name) as Provider;
  return {
    ...given,
    async sign(body, { secret, id, at }) {
      const request = { method: "POST", url: URL_OF_IT, headers: headers(id), body: Buffer.from(body) };
      const ours = await sign(preset, request, { secret }, at * 1000);
      return { ...(await signWith(libraries[given.name] as Library, ours, secret)).headers };
    },
  };
}

/**
 * Between them they have a time or none, one signature or several, hex or base64, and an id in a header or in
 * the body.
 */
export const fourProviders: readonly SignedProvider[] = [
  signedProvider({
    name: "stripe",
    signatureHeader: "stripe-signature",
    signedHeaders: [],
    secrets: ["whsec_b2ZmaWNpYWwgbm93", "whsec_b2ZmaWNpYWwgYmVmb3Jl"],
    headers: () => ({}),
    body: (id, type) => JSON.stringify({ id, object: "event", type, data: { object: { note: "Café ☕" } } }),
  }),
  signedProvider({
    name: "github",
    signatureHeader: "x-hub-signature-256",
    signedHeaders: [],
    secrets: ["It's a Secret to Everybody", "it was another one"],
    headers: (id) => ({ "x-github-delivery": id, "x-github-event": "push" }),
    body: (id, type) => JSON.stringify({ note: `${type} ${id}`, repository: { full_name: "octo/🐙" } }),
  }),
  signedProvider({
    name: "razorpay",
    signatureHeader: "x-razorpay-signature",
    signedHeaders: [],
    secrets: ["123456", "ключ"],
    headers: (id) => ({ "x-razorpay-event-id": id }),
    body: (id, type) => JSON.stringify({ entity: "event", event: type, payload: { note: `₹500 ${id}` } }),
  }),
  signedProvider({
    name: "standard-webhooks",
    signatureHeader: "webhook-signature",
    signedHeaders: ["webhook-id", "webhook-timestamp"],
    secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    headers: (id) => ({ "webhook-id": id }),
    body: (id, type) => JSON.stringify({ type, data: { note: `naïve ${id}` } }),
  }),
];

export function providerCalled(name: SignedProvider["name"]): SignedProvider {
  return fourProviders.find((provider) => provider.name === name) as SignedProvider;
}
