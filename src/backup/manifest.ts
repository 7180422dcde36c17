import * as z from "zod/mini";

/** The last file of a backup: what the backup holds, so that a damaged one is recognized. */
export const MANIFEST = ".hookonce/backup.json";

/** So many files, folders and links a backup may have. Their list is then about 100 MB. */
export const MAX_ENTRIES = 500_000;

/** In bytes. */
export const MAX_MANIFEST = 256 * 1024 ** 2;

const manifestSchema = z.object({
  format: z.literal(1),
  /** The version of hookonce that made it. */
  hookonce: z.string(),
  /** Unix milliseconds. */
  made_at: z.number(),
  /** The copy of the database, as a path in the backup. Null if the database is on a server, and so not in it. */
  database: z.nullable(z.string()),
  /** The path or the URL of the database, as the config has it. */
  database_path: z.string(),
  /** Whether the secrets are in it. */
  secrets: z.boolean(),
  left_out: z.array(z.string()),
  files: z.array(z.object({ path: z.string(), size: z.number(), sha256: z.string() })),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** @throws Error if the text is not a manifest */
export function parseManifest(text: string): Manifest {
  const value = parsed(text);
  if (typeof value === "object" && value !== null && "format" in value && value.format !== 1)
    throw new Error("a newer hookonce made it, so check it with that version");
  const manifest = manifestSchema.safeParse(value);
  if (!manifest.success) throw new Error(`${MANIFEST} is damaged`);
  return manifest.data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
