import * as z from "zod/mini";
import { ADDRESS, isLoopbackHost, parseAddress } from "./address.ts";
import { literal } from "./literal.ts";

/** The table `[admin]` of hookonce.toml: where the page and the API listen. */

export const DEFAULT_ADMIN_LISTEN = "127.0.0.1:8788";

const adminFields = {
  listen: () =>
    z.optional(
      z
        .string({ error: notAnAdminAddress })
        .check(z.refine((text) => text === "off" || ADDRESS.test(text), { error: notAnAdminAddress })),
    ),
  url: () => z.optional(z.string({ error: notAnOrigin }).check(z.refine(isOrigin, { error: notAnOrigin }))),
};

let table: ReturnType<typeof makeTable> | undefined;

/** The schema of `[admin]`. */
export const adminTable = () => (table ??= makeTable());

const makeTable = () =>
  z.strictObject({ listen: adminFields.listen(), url: adminFields.url() }).check(
    z.refine(({ listen, url }) => url !== undefined || !isOpen(listen), {
      path: ["listen"],
      error: ({ input }) => {
        const { listen } = input as { readonly listen?: unknown };
        return `${literal(listen)} can be reached from other machines: add the address that browsers use, as in url = "https://hooks.example.com", or listen on 127.0.0.1`;
      },
    }),
  );

/** Whether other machines reach this address. */
function isOpen(listen: string | undefined): boolean {
  return listen !== undefined && ADDRESS.test(listen) && !isLoopbackHost(parseAddress(listen).hostname);
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, origin } = new URL(text);
  return /^https?:$/.test(protocol) && text.replace(/\/$/, "").toLowerCase() === origin;
}

function notAnAdminAddress({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} is not host:port: write it as in listen = "${DEFAULT_ADMIN_LISTEN}", or listen = "off" for no page`;
}

function notAnOrigin({ input }: { readonly input?: unknown }): string {
  return `${literal(input)} is not the address of the page: write it without a path, as in url = "https://hooks.example.com"`;
}

/** To suggest the nearest for an unknown key. */
export function adminKeys(): string[] {
  return Object.keys(adminFields);
}
