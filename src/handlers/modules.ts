import * as drizzleOrm from "drizzle-orm";
import * as sqliteCore from "drizzle-orm/sqlite-core";
import { handler, reply } from "./api.ts";

let supplied = false;

/**
 * What a handler may import with nothing installed. The versions are part of hookonce's public interface, and the very modules that
 * hookonce itself runs on: a table that a handler declares is one to the `db` that it is given.
 */
export function supplyModules(): void {
  if (supplied) return;
  supplied = true;
  Bun.plugin({
    name: "hookonce",
    setup(build) {
      build.module("hookonce", () => ({ exports: { handler, reply }, loader: "object" }));
      build.module("drizzle-orm", () => ({ exports: { ...drizzleOrm }, loader: "object" }));
      build.module("drizzle-orm/sqlite-core", () => ({ exports: { ...sqliteCore }, loader: "object" }));
      build.module("zod", () => {
        // Only where a handler imports it: it takes 12 ms. Under its other name, because this one leads here.
        const zod = require("zod/v4") as typeof import("zod/v4");
        return { exports: { ...zod, default: zod }, loader: "object" };
      });
    },
  });
}
