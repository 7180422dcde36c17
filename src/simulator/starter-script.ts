import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";

/**
 * A script for a command destination. It fails until it is edited, so that its messages are kept and sent again.
 *
 * @param what it runs for, such as `push`
 */
export function starterScript(destination: string, what: string): string {
  return `#!/bin/sh
# Runs for ${what}: hookonce.toml sends it on to the destination "${destination}".
#
# Standard input is the payload, as the provider sent it. The environment has:
#   HOOKONCE_SOURCE, HOOKONCE_TYPE, HOOKONCE_EVENT_ID
#   HOOKONCE_ATTEMPT      1 for the first attempt
#   HOOKONCE_MESSAGE_ID   the same at each attempt
#
# Exit 0: the message is done. Anything else, or a run that takes longer than the destination's timeout: it runs again
# later, for three days. The last 4 kB of its output are kept: hookonce messages ID shows them.
#
# It may run twice for one event, for example after a power cut. Write it so that this does no harm.
set -eu

payload=$(cat)

# For example:
#   git -C /srv/app pull --ff-only
#   systemctl restart app

echo "This script is not finished: it received \${#payload} characters. Edit it, and delete this line and the next." >&2
exit 1
`;
}

/**
 * The script of a command, relative to the inbox folder.
 *
 * @returns undefined if it is elsewhere, or if it is no shell script
 */
export function scriptIn(folder: string, [program = ""]: readonly string[]): string | undefined {
  const file = relative(resolve(folder), resolve(folder, program)).replaceAll("\\", "/");
  const isInFolder = /[/\\]/.test(program) && !isAbsolute(program) && !file.startsWith("..");
  if (!isInFolder || (/\.\w+$/.test(file) && !file.endsWith(".sh") && !existsSync(join(folder, file))))
    return undefined;
  return file;
}

/** @returns whether it was written; a file that exists is left unchanged */
export function writeScript(path: string, text: string): boolean {
  if (existsSync(path)) return false;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { flag: "wx", mode: 0o777 });
  return true;
}
