import { adminKeys, adminTable } from "./admin-schema.ts";
import { alertKeys, alertsTable } from "./alerts-schema.ts";
import { destinationKeys } from "./destination-schema.ts";
import { retentionKeys, retentionTable } from "./retention-schema.ts";

/** The tables of hookonce.toml beside the sources. */
export { adminTable, alertsTable, retentionTable };

/** Their keys, to suggest the nearest for an unknown one. */
export const keysOfTables: ReadonlyMap<PropertyKey | undefined, () => string[]> = new Map([
  ["admin", adminKeys],
  ["alerts", alertKeys],
  ["retention", retentionKeys],
  ["destinations", destinationKeys],
]);
