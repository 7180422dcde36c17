import { accessSync, constants } from "node:fs";

/**
 * The folders SQLite tries, in its order: https://sqlite.org/tempfiles.html#temporary_file_storage_locations
 */
const PLACES = [process.env["SQLITE_TMPDIR"], process.env["TMPDIR"], "/var/tmp", "/usr/tmp", "/tmp", "."];

/** Whether SQLite can write to one of them. A service may run on a read-only file system. */
export function canMakeTemporaryFiles(): boolean {
  return PLACES.some((place) => {
    if (place === undefined || place === "") return false;
    try {
      accessSync(place, constants.W_OK | constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
