import * as sqliteCore from "drizzle-orm/sqlite-core";
import { drizzleModule } from "../drizzle-module.ts";

/** The drizzle that handlers import. */
export const drizzleModules: Readonly<Record<string, object>> = {
  "drizzle-orm": drizzleModule,
  "drizzle-orm/sqlite-core": { ...sqliteCore },
};
