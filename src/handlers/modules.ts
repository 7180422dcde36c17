import { handler, reply } from "./api.ts";

let supplied = false;

/**
 * Supplies the modules that a handler may import with nothing installed. Their versions are part of
 * hookonce's public interface.
 *
 * @param engineModules the engine's. hookonce runs on the same module instances, so its `db` accepts a table
 *   that a handler declares
 */
export function supplyModules(engineModules: Readonly<Record<string, object>>): void {
  if (supplied) return;
  supplied = true;
  Bun.plugin({
    name: "hookonce",
    setup(build) {
      build.module("hookonce", () => ({ exports: { handler, reply }, loader: "object" }));
      for (const [name, module] of Object.entries(engineModules)) {
        build.module(name, () => ({ exports: { ...module }, loader: "object" }));
      }
      build.module("zod", () => {
        // Loaded only if a handler imports it, because it takes 12 ms. "zod/v4" avoids resolving "zod" to
        // this module again.
        const zod = require("zod/v4") as typeof import("zod/v4");
        return { exports: { ...zod, default: zod }, loader: "object" };
      });
    },
  });
}
