import type { DashboardFile, DashboardFiles } from "../http/admin/files.ts";
import type { BuiltFile } from "./build.ts";

let loaded: Promise<DashboardFiles> | undefined;

/** The files of the page. The first call takes about 300 ms when hookonce runs from source. */
export function dashboardFiles(): Promise<DashboardFiles> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<DashboardFiles> {
  const { pageFiles } = await import("./page-files.ts");
  const files = new Map<string, DashboardFile>();
  for (const { path, type, gzip, immutable } of JSON.parse(pageFiles) as BuiltFile[]) {
    const packed = Uint8Array.fromBase64(gzip);
    const bytes = Bun.gunzipSync(packed);
    files.set(path, {
      type,
      bytes,
      gzip: packed.length < bytes.length ? packed : null,
      immutable,
      etag: `"${new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 32)}"`,
    });
  }
  return files;
}
