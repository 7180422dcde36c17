/** JSON as other languages write it. */
export const ascii = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** What a text looks like in the encodings that these tests send. */
function needlesOf(text: string): string[] {
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from(`${"x".repeat(shift)}${text}`)
      .toString("base64")
      .slice(4, -4),
  );
  return [text, ascii(text).slice(1, -1), encodeURIComponent(text), ...base64];
}

/**
 * The files of a folder that contain a text in any of its encodings. Another process reads them: if this one closed
 * a descriptor of the database, SQLite would lose its locks.
 */
export function filesWith(folder: string, text: string): string[] {
  const { stdout, exitCode } = Bun.spawnSync(["grep", "-rlaFf", "-", folder], {
    stdin: Buffer.from(needlesOf(text).join("\n")),
    env: { LC_ALL: "C", PATH: process.env["PATH"] },
  });
  if (exitCode > 1) throw new Error("grep failed");
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}
