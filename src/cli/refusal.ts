import { HookonceError, messageOf, type Problem } from "../errors.ts";

/** Prints every problem of a refused command on standard error. Only an unexpected error gets its stack. */
export function printRefusal(error: unknown): void {
  if (!(error instanceof HookonceError)) {
    // A file system error already names the cause and the path: permission denied, open '…'.
    const told = error instanceof Error && !("syscall" in error) ? error.stack : undefined;
    console.error(`hookonce: ${told ?? messageOf(error)}`);
    return;
  }
  console.error(`hookonce: ${error.message} [${error.code}]`);
  for (const problem of error.problems) console.error(`  ${formatProblem(problem)}`);
}

/** `file:line: message`, which editors and terminals turn into a link. */
export function formatProblem({ file, line, message }: Problem): string {
  const where = file === undefined ? "" : line === undefined ? `${file}: ` : `${file}:${line}: `;
  return `${where}${message}`;
}
