import * as pgCore from "drizzle-orm/pg-core";
import { drizzleModule } from "../drizzle-module.ts";

/** The drizzle that handlers import. */
export const drizzleModules: Readonly<Record<string, object>> = {
  "drizzle-orm": drizzleModule,
  "drizzle-orm/pg-core": { ...pgCore },
};
