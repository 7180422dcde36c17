import { expect, test } from "bun:test";
import packageJson from "../../package.json" with { type: "json" };
import { run } from "./support/hookonce.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

describeUnless(onlyInFullRun(), "help", () => {
  for (const { args, says } of [
    { args: ["--help"], says: ["Usage: hookonce", "init", "serve", "check", "add", "send", "demo"] },
    { args: ["help", "serve"], says: ["Usage: hookonce serve", "--listen", "--dev"] },
    { args: ["init", "--help"], says: ["Usage: hookonce init", "folder"] },
    { args: ["serve", "--help"], says: ["Usage: hookonce serve", "--listen", "--database", "--dev"] },
    { args: ["check", "--help"], says: ["Usage: hookonce check", "folder", "--database"] },
    { args: ["providers"], says: ["stripe", "slack", "a new one for every delivery"] },
    { args: ["providers", "square"], says: ["Square", "public_url", "covered by the signature", "https://"] },
    { args: ["providers", "paddle"], says: ["5 s either way", "the secret's text as it is"] },
    { args: ["providers", "svix"], says: ["300 s either way", "without whsec_, decoded from base64"] },
    { args: ["providers", "discord"], says: ["any age is accepted", "64 hex digits"] },
    {
      args: ["providers", "paypal"],
      says: ["not covered by the signature", "CRC32", "its age is not checked"],
    },
    { args: ["providers", "aws-sns"], says: ["three times, 20 s apart", "MessageAttributes are not signed"] },
    {
      args: ["verify", "--help"],
      says: ["Usage: hookonce verify", "--source", "--request", "--at", "--folder"],
    },
    { args: ["demo", "--help"], says: ["Usage: hookonce demo"] },
  ]) {
    test(`hookonce ${args.join(" ")} prints to standard output and exits with 0`, async () => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stderr]).toEqual([0, ""]);
      for (const word of says) expect(stdout).toContain(word);
    });
  }

  test("hookonce --version prints the version of package.json", async () => {
    expect(await run(["--version"])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  });
});

describeUnless(onlyInFullRun(), "wrong usage exits with 2 and starts nothing", () => {
  for (const { args, says } of [
    { args: [], says: ["Usage: hookonce", "serve"] },
    { args: ["chek"], says: ["unknown command 'chek'", "Did you mean check?", "--help"] },
    {
      args: ["serve", "--lisen", "127.0.0.1:0"],
      says: ["unknown option '--lisen'", "Did you mean --listen?"],
    },
    { args: ["serve", "--listen"], says: ["--listen <host:port>", "argument missing"] },
    { args: ["serve", "--listen", "8787"], says: ["'8787' is invalid", "host:port"] },
    { args: ["providers", "whatsapp"], says: ["did you mean meta?"] },
    { args: ["providers", "stripes"], says: ["did you mean stripe?"] },
    { args: ["add", "facebook"], says: ["did you mean meta?"] },
    { args: ["send", "forgejo"], says: ["did you mean gitea?"] },
    { args: ["check", "one", "two"], says: ["too many arguments for 'check'"] },
  ]) {
    test(["hookonce", ...args].join(" "), async () => {
      const { code, stdout, stderr } = await run(args);
      expect([code, stdout]).toEqual([2, ""]);
      for (const word of says) expect(stderr).toContain(word);
      expect(stderr).not.toContain("    at ");
    });
  }
});
