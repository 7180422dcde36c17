import { HookonceError, messageOf, type Problem } from "../errors.ts";
import { visible } from "../logging/visible.ts";
import { complain } from "./terminal.ts";

/** Prints every problem of a refused command on standard error. Only an unexpected error gets its stack. */
export function printRefusal(error: unknown): void {
  if (!(error instanceof HookonceError)) {
    // A file system error already names the cause and the path: permission denied, open '…'.
    const told = error instanceof Error && !("syscall" in error) ? error.stack : undefined;
    complain(`hookonce: ${told ?? visible(messageOf(error))}`);
    return;
  }
  complain(`hookonce: ${visible(error.message)} [${error.code}]`);
  for (const problem of error.problems) complain(`  ${formatProblem(problem)}`);
}

/** `file:line: message`, which editors and terminals turn into a link. */
export function formatProblem({ file, line, message }: Problem): string {
  const where = file === undefined ? "" : line === undefined ? `${file}: ` : `${file}:${line}: `;
  return visible(`${where}${message}`);
}
