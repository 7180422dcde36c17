import type { EngineOptions } from "../../src/engines/engine.ts";
import { batchShop, deliver, sourceWith, type Delivery, type DeliveryOptions } from "./jobs.ts";

/** Sources with `redact`, whose handlers are those of `shop`. Every harness gives their redaction to its engine. */

type Redaction = NonNullable<ReturnType<NonNullable<EngineOptions["redactionOf"]>>>;

export const guarded = sourceWith({ name: "guarded", handlersOf: "shop" });
export const guardedBatch = sourceWith({ ...batchShop, name: "guarded batch", handlersOf: "shop" });

/** The value of `secret` that must not stay. */
export const SECRET = "jenny@example.com";

const replace: Redaction["replace"] = ({ headers, body }) => {
  const text = new TextDecoder().decode(body);
  const now = text.replaceAll(SECRET, "[redacted]");
  const note = headers["x-note"] === SECRET ? { "x-note": "[redacted]" } : {};
  const replaced = text.split(SECRET).length - 1 + Object.keys(note).length;
  if (replaced === 0) return undefined;
  return { headers: { ...headers, ...note }, body: new TextEncoder().encode(now), replaced };
};

const partsOf: Redaction["partsOf"] = ({ body }) => {
  const elements = JSON.parse(new TextDecoder().decode(body)) as { readonly id: string }[];
  return new Map(elements.map((element) => [element.id, JSON.stringify(element)]));
};

const redactions: Readonly<Record<string, Redaction>> = {
  guarded: { replace, partsOf: undefined },
  "guarded batch": { replace, partsOf },
};

export const redactionOf: NonNullable<EngineOptions["redactionOf"]> = (source) => redactions[source];

/** A delivery with the value in its body. */
export function secretly(
  id: string,
  { source = guarded, fail = false, ...options }: DeliveryOptions & { readonly cents?: number } = {},
): Delivery {
  const { cents = 1 } = options;
  return deliver(id, {
    source,
    ...options,
    body: JSON.stringify({ id: id.split("/").at(-1), cents, fail, secret: SECRET }),
  });
}
