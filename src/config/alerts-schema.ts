import * as z from "zod/mini";
import { once } from "./schema-parts.ts";

/** The table `[alerts]` of hookonce.toml: where messages about hookonce itself go. */

const REMEDY = 'write the name of a destination, as in to = "ops" with [destinations.ops]';

export const alertsTable = once(() =>
  z.strictObject({
    to: z.string({
      error: ({ input }) => (input === undefined ? `is missing: ${REMEDY}` : `is not a text: ${REMEDY}`),
    }),
  }),
);

/** `[alerts]` */
export interface Alerts {
  /** The name of a destination. */
  readonly to: string;
}

/** To suggest the nearest for an unknown key. */
export function alertKeys(): string[] {
  return Object.keys(alertsTable().shape);
}
