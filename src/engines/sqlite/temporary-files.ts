import { accessSync, constants } from "node:fs";

/** Where SQLite looks for a place, in its order: https://sqlite.org/tempfiles.html#temporary_file_storage_locations */
const PLACES = [process.env["SQLITE_TMPDIR"], process.env["TMPDIR"], "/var/tmp", "/usr/tmp", "/tmp", "."];

/** Whether SQLite finds one that it can write to: a service's file system may be read-only. */
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
