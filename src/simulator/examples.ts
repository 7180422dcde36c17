import type { Example } from "./example.ts";
import { applications } from "./examples/applications.ts";
import { commerce } from "./examples/commerce.ts";
import { development } from "./examples/development.ts";
import { generic } from "./examples/generic.ts";
import { messaging } from "./examples/messaging.ts";
import { payments } from "./examples/payments.ts";
import { services } from "./examples/services.ts";

/** One example for each preset, by the preset's name. */
export const examples: ReadonlyMap<string, Example> = new Map(
  [generic, payments, commerce, development, messaging, services, applications].flatMap((group) =>
    Object.entries(group),
  ),
);
