import { hookonce } from "./hookonce.ts";

export interface OnTerminal {
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** The command gets SIGINT once it has written this. */
  readonly until?: string;
  /** What is typed once a question was written: question and answer, in their order. */
  readonly answers?: readonly (readonly [question: string, answer: string])[];
}

/** Runs a command on a terminal. */
export async function onTerminal(
  args: readonly string[],
  { columns = 60, environment = {}, until, answers = [] }: OnTerminal = {},
): Promise<{ code: number; text: string }> {
  let text = "";
  let answered = 0;
  /** Up to where the text was looked through for questions. */
  let from = 0;
  const decoder = new TextDecoder();
  const child = Bun.spawn([...hookonce, ...args], {
    env: { HOME: process.env["HOME"] ?? "/tmp", TERM: "xterm", ...environment },
    terminal: {
      cols: columns,
      rows: 40,
      data(terminal, chunk) {
        text += decoder.decode(chunk, { stream: true });
        if (until !== undefined && text.includes(until)) child.kill("SIGINT");
        const [question, answer] = answers[answered] ?? [];
        if (question === undefined || answer === undefined) return;
        const at = text.indexOf(question, from);
        if (at === -1) return;
        answered++;
        from = at + question.length;
        terminal.write(answer);
      },
    },
  });
  const code = await child.exited;
  await Bun.sleep(50);
  child.terminal?.close();
  return { code, text: text.replaceAll("\r\n", "\n") };
}
