import { HookonceError, messageOf, type Problem } from "../errors.ts";

/** Says on standard error why a command was refused: all of it at once. A stack only for what should not happen. */
export function printRefusal(error: unknown): void {
  if (!(error instanceof HookonceError)) {
    // The file system says what and where by itself: permission denied, open '…'.
    const told = error instanceof Error && !("syscall" in error) ? error.stack : undefined;
    console.error(`hookonce: ${told ?? messageOf(error)}`);
    return;
  }
  console.error(`hookonce: ${error.message} [${error.code}]`);
  for (const problem of error.problems) console.error(`  ${formatProblem(problem)}`);
}

/** `file:line: message`, as editors and terminals know it. */
export function formatProblem({ file, line, message }: Problem): string {
  const where = file === undefined ? "" : line === undefined ? `${file}: ` : `${file}:${line}: `;
  return `${where}${message}`;
}
