import { openToLook, type LookingAdmin } from "../app/look.ts";
import { complain } from "./terminal.ts";

/** Opens an inbox folder for a command that looks. If a `serve` runs but cannot be reached, says so. */
export async function openLooking(
  folder: string,
  { database }: { readonly database?: string | undefined },
): Promise<LookingAdmin> {
  const admin = await openToLook({ folder, database });
  if (admin.unreachable !== null) complain(`note: ${admin.unreachable}`);
  return admin;
}
