import { applications } from "./presets/applications.ts";
import { commerce } from "./presets/commerce.ts";
import { development } from "./presets/development.ts";
import { generic } from "./presets/generic.ts";
import { hubspot } from "./presets/hubspot.ts";
import { mail } from "./presets/mail.ts";
import { messaging } from "./presets/messaging.ts";
import { models } from "./presets/models.ts";
import { payments } from "./presets/payments.ts";
import { services } from "./presets/services.ts";
import type { Provider } from "./provider.ts";
import { kindOf } from "./schemes.ts";

/** Every provider by its name in the config. */
export const providers: ReadonlyMap<string, Provider> = new Map(
  [generic, payments, commerce, development, messaging, mail, hubspot, services, applications, models]
    .flat()
    .map((preset) => [preset.name, preset]),
);

/** The headers in which some provider sends its secret itself, in lower case. */
export const headersWithSecrets: ReadonlySet<string> = new Set(
  [...providers.values()].flatMap(({ scheme }) => {
    const kind = kindOf(scheme);
    const header = kind.proof === "secret-sent" ? kind.signatureHeader(scheme)?.header : undefined;
    return header === undefined ? [] : [header];
  }),
);
