import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { Scratch } from "../cli/support/hookonce.ts";
import { certificateFor } from "../../src/providers/schemes/self-signed.ts";
import { block } from "../support/readme.ts";
import { startCaddy, startNginx, type Proxy } from "./proxies.ts";

type Folder = Pick<Scratch, "path" | "write">;

const HOST = "hooks.example.com";

/** The README's nginx block, with the path of an old endpoint in it. */
function nginxServer(): string {
  const server = block("nginx", "listen 443 ssl");
  const moved = block("nginx", "location = /stripe/webhook");
  return server.replace(/ *location \/ /, `${moved}$&`);
}

function caddySite(): string {
  const site = block("caddyfile", HOST);
  const moved = block("caddyfile", "/stripe/webhook");
  return site.replace(/\thandle \{/, `${moved}$&`);
}

function certificateIn(folder: Folder): { certificate: string; key: string } {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  folder.write({ "key.pem": key, "certificate.pem": certificateFor(key) });
  return { certificate: join(folder.path, "certificate.pem"), key: join(folder.path, "key.pem") };
}

/** Sends a request to the proxy as the provider does, by its public name. */
export function request({ port }: Proxy, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`https://127.0.0.1:${port}${path}`, {
    ...init,
    headers: { ...(init.headers as Record<string, string>), host: HOST },
    redirect: "manual",
    tls: { rejectUnauthorized: false, serverName: HOST },
  });
}

/** The README's recipes. */
export const proxies = [
  {
    name: "nginx",
    start: (folder: Folder, upstream: number) =>
      startNginx(folder.path, nginxServer(), upstream, certificateIn(folder)),
  },
  {
    name: "caddy",
    start: (folder: Folder, upstream: number) => startCaddy(folder.path, caddySite(), upstream),
  },
];
