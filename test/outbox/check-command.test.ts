import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { checkCommand } from "../../src/outbox/check-command.ts";
import { describeUnless } from "../crash/requirements.ts";
import { commandInbox } from "./support/commands.ts";

const PATH = process.env["PATH"];

describeUnless(process.platform === "win32" ? "needs file modes" : undefined, "checkCommand", () => {
  test.each([
    ["a script", ["./deploy.sh"]],
    ["a script in a folder", ["scripts/x"]],
    ["a script whose interpreter has an argument", ["./env.sh"]],
    ["a program in PATH, with arguments", ["sh", "-c", "exit 0"]],
    ["a compiled program", [process.execPath]],
  ])("accepts %s", (_name, command) => {
    using inbox = commandInbox();
    mkdirSync(join(inbox.folder, "scripts"));
    inbox.write("deploy.sh", "#!/bin/sh\nexit 0\n");
    inbox.write("env.sh", "#! /usr/bin/env sh\nexit 0\n");
    inbox.write("scripts/x", "#!/bin/sh -eu\nexit 0\n");
    expect(checkCommand(command, { inboxFolder: inbox.folder, path: PATH })).toBeUndefined();
  });

  test.each([
    [["./gone.sh"], `"./gone.sh" does not exist in FOLDER. Relative paths begin in the inbox folder.`],
    [["/gone/deploy.sh"], `"/gone/deploy.sh" does not exist. Correct the path.`],
    [["~/deploy.sh"], `"~/deploy.sh" does not exist: no shell runs it, so write the path without ~.`],
    [
      ["no-such-program"],
      `"no-such-program" is not in PATH. Write its whole path, or add its folder to serve's PATH.`,
    ],
    [["good.sh"], `"good.sh" is not in PATH. For the file in the inbox folder, write "./good.sh".`],
    [
      ["./good.sh --prod"],
      `"./good.sh --prod" does not exist. Write each argument as a separate text: command = ["./good.sh","--prod"]`,
    ],
    [["./scripts"], `"./scripts" is a folder. Name the program in it.`],
    [["./plain.sh"], `"./plain.sh" is not executable. Run: chmod +x FOLDER/plain.sh`],
    [
      ["./bare.sh"],
      `"./bare.sh" has no line that names its interpreter. If it is a shell script, begin it with: #!/bin/sh`,
    ],
    [
      ["./windows.sh"],
      `"./windows.sh" has the line ends of Windows, and Linux takes them as part of the interpreter's name. Run: sed -i 's/\\r$//' FOLDER/windows.sh`,
    ],
    [
      ["./fish.sh"],
      `"./fish.sh" needs the interpreter /no/such/fish, which does not exist. Install it, or correct the first line.`,
    ],
  ])("refuses %p with the remedy", (command, message) => {
    using inbox = commandInbox();
    mkdirSync(join(inbox.folder, "scripts"));
    inbox.write("good.sh", "#!/bin/sh\n");
    inbox.write("plain.sh", "#!/bin/sh\n", 0o644);
    inbox.write("bare.sh", "exit 0\n");
    inbox.write("windows.sh", "#!/bin/sh\r\nexit 0\r\n");
    inbox.write("fish.sh", "#!/no/such/fish\n");
    const said = checkCommand(command, { inboxFolder: inbox.folder, path: PATH });
    expect(said?.replaceAll(inbox.folder, "FOLDER")).toBe(message);
  });
});

describe("the remedy for a file that is not executable", () => {
  test("can be copied although the path contains a space", () => {
    using inbox = commandInbox();
    inbox.write("it's mine.sh", "#!/bin/sh\n", 0o644);
    const said = checkCommand(["./it's mine.sh"], { inboxFolder: inbox.folder, path: PATH });
    expect(said).toEndWith(`Run: chmod +x '${inbox.folder}/it'\\''s mine.sh'`);
  });
});
