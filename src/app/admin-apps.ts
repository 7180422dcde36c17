import { dashboardFiles } from "../dashboard/files.ts";
import { createAccess } from "../http/admin/access.ts";
import { createListenerApp, createSocketApp } from "../http/admin/listener.ts";
import { createAdminApp } from "../http/admin/routes.ts";
import { scopesIn } from "../http/admin/token-routes.ts";
import { createAdminInbox, type AdminParts } from "./admin-inbox.ts";

/**
 * The API of one inbox, as the socket and as the page's listener answer it.
 *
 * @param url where a proxy publishes the page
 */
export function createAdminApps(parts: AdminParts, url: () => string | null) {
  const inbox = createAdminInbox(parts);
  const admin = createAdminApp(inbox);
  const access = createAccess({
    async tokenOf(hash) {
      const token = await (await inbox.reader()).token(hash);
      return token === undefined ? undefined : { ...token, scopes: scopesIn(token.scopes) };
    },
    url,
    clock: inbox.clock,
  });
  return {
    socket: createSocketApp(admin),
    page: createListenerApp({ admin, access, files: dashboardFiles }),
  };
}

export type AdminApps = ReturnType<typeof createAdminApps>;
