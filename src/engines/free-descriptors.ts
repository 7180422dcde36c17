import { closeSync, openSync } from "node:fs";

/** The system gives out the lowest number, so at least as many are in use. Infinity if none is free. */
export function lowestFree(): number {
  if (process.platform === "win32") return 0;
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    return descriptor;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EMFILE" || code === "ENFILE" ? Number.POSITIVE_INFINITY : 0;
  }
}

/** How many descriptors must be free to start a thread. It takes five, and clients connect meanwhile. */
const FOR_THREAD = 16;

/** Returns false if a thread could lack descriptors. Bun would end the process. */
export function canStartThread(): boolean {
  if (process.platform === "win32") return true;
  const opened: number[] = [];
  try {
    for (let n = 0; n < FOR_THREAD; n++) opened.push(openSync("/dev/null", "r"));
    return true;
  } catch {
    return false;
  } finally {
    opened.forEach(closeSync);
  }
}
