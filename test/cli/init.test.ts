import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { run, scratch, unsignedWarning } from "./support/hookonce.ts";

describe("hookonce init", () => {
  test("makes a folder in which check finds no problem", async () => {
    using parent = scratch();
    const made = await run(["init", "my inbox"], { cwd: parent.path });
    expect([made.code, made.stderr]).toEqual([0, ""]);
    expect(made.stdout).toContain("hookonce.toml");
    expect(made.stdout).toContain("hookonce serve --dev 'my inbox'");
    expect(statSync(join(parent.path, "my inbox/.env")).mode & 0o777).toBe(0o600);
    const checked = await run(["check", "my inbox"], { cwd: parent.path });
    expect([checked.code, checked.stderr]).toEqual([0, unsignedWarning]);
    expect(checked.stdout).toContain("no problems found");
  });

  test("keeps the files that exist and adds those that are missing", async () => {
    using folder = scratch({ "hookonce.toml": "# mine\n", ".env": "SECRET=1\n" });
    const { code, stdout } = await run(["init"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain("Left unchanged: hookonce.toml, .env");
    expect(readFileSync(join(folder.path, "hookonce.toml"), "utf8")).toBe("# mine\n");
    expect(readFileSync(join(folder.path, ".env"), "utf8")).toBe("SECRET=1\n");
    expect(existsSync(join(folder.path, "handlers/default/_any.sql"))).toBe(true);
  });
});
