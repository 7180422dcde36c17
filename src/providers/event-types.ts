import { applications } from "./event-types/applications.ts";
import { commerce } from "./event-types/commerce.ts";
import { development } from "./event-types/development.ts";
import { messaging } from "./event-types/messaging.ts";
import { payments } from "./event-types/payments.ts";
import { services } from "./event-types/services.ts";
import type { KnownTypes } from "./known-types.ts";

/**
 * The event types of the most used providers, by the provider's name. Load it with `import()`, because no
 * start needs it.
 */
export const eventTypes: ReadonlyMap<string, KnownTypes> = new Map(
  Object.entries({ ...payments, ...commerce, ...development, ...messaging, ...services, ...applications }),
);
