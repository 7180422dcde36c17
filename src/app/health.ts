import type { Health, HealthWarning } from "../engines/engine.ts";
import { HookonceError, messageOf } from "../errors.ts";
import type { ServingJson } from "../http/admin/shapes.ts";

/** Whether a delivery could be stored now, and what somebody should look after. */
export async function healthOf(
  probe: () => Promise<Health>,
  found: readonly (HealthWarning | undefined)[],
): Promise<Pick<ServingJson, "ready" | "error" | "warnings">> {
  const own = found.flatMap((one) => one ?? []).map(({ code, message }) => ({ code, message }));
  try {
    return { ready: true, error: null, warnings: [...(await probe()).warnings, ...own] };
  } catch (error) {
    const code = error instanceof HookonceError ? error.code : "storage_failed";
    return { ready: false, error: { code, message: messageOf(error) }, warnings: own };
  }
}
