import { describe, expect, test } from "bun:test";
import { linkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { listContents } from "../../src/backup/contents.ts";
import { scratch, type Scratch } from "../cli/support/hookonce.ts";

/** What a backup leaves out, and what it holds although its name looks alike. */

function listed(folder: Scratch, secretFiles: readonly string[] | null = []) {
  const { contents, leftOut } = listContents({ folder: folder.path, isOfDatabase: () => false, secretFiles });
  return { held: contents.filter(({ kind }) => kind !== "folder").map(({ path }) => path), leftOut };
}

describe("a backup leaves out", () => {
  test.each([
    ".env",
    ".env.local",
    ".env.production",
    ".envrc",
    ".npmrc",
    ".netrc",
    ".pgpass",
    ".git-credentials",
    ".NPMRC",
    "server.key",
    "server.pem",
    "apple.p8",
    "client.p12",
    "client.pfx",
  ])("%s, in the folder itself and below it", (name) => {
    using folder = scratch({
      [name]: "s",
      [`sub/deep/${name}`]: "s",
      [`handlers/lib/${name}`]: "s",
      "a.md": "",
    });
    expect(listed(folder)).toEqual({
      held: ["a.md"],
      leftOut: [name, `handlers/lib/${name}`, `sub/deep/${name}`].sort(),
    });
    expect(listed(folder, null).leftOut).toEqual([]);
    expect(listed(folder, null).held).toHaveLength(4);
  });

  test.each(["secrets", ".ssh", ".aws", ".gnupg"])("the folder %s wherever it is", (name) => {
    using folder = scratch({ [`${name}/a`]: "s", [`sub/${name}/b/c`]: "s", "sub/a.md": "" });
    expect(listed(folder)).toEqual({ held: ["sub/a.md"], leftOut: [`${name}/`, `sub/${name}/`] });
  });

  test("each file that the config names, inside and outside of the folder", () => {
    using other = scratch({ key: "s" });
    using folder = scratch({ "keys/github": "s", "keys/readme.md": "", "github.txt": "s" });
    symlinkSync(join(other.path, "key"), join(folder.path, "linked"));
    expect(listed(folder, ["keys/github", "./github.txt", join(other.path, "key")])).toEqual({
      held: ["keys/readme.md"],
      leftOut: ["github.txt", "keys/github", "linked"],
    });
  });

  test("what leads to a secret through links", () => {
    using other = scratch({ "secrets/x": "s", "tls/server.key": "s", ".netrc": "s" });
    using folder = scratch({ "secrets/github": "s", ".env": "s", "sub/secrets/b": "s" });
    const link = (to: string, path: string): void => symlinkSync(to, join(folder.path, path));
    link(join(folder.path, "secrets/github"), "absolute");
    link(join(folder.path, "secrets"), "absolute-folder");
    link("secrets/github", "relative");
    link("sub/secrets", "relative-folder");
    link(join(folder.path, "sub"), "above");
    link("relative", "chained");
    link(join(folder.path, ".env"), "environment");
    link(join(other.path, "secrets"), "outside-folder");
    link(join(other.path, "secrets/x"), "outside");
    link(join(other.path, "tls/server.key"), "outside-key");
    link(join(other.path, ".netrc"), "outside-netrc");
    expect(listed(folder)).toEqual({
      // Links that hold nothing but a place in the folder.
      held: ["chained", "relative", "relative-folder"],
      leftOut: [
        ".env",
        "above/secrets/",
        "absolute",
        "absolute-folder/",
        "environment",
        "outside",
        "outside-folder/",
        "outside-key",
        "outside-netrc",
        "secrets/",
        "sub/secrets/",
      ],
    });
  });

  test("what a link with the name of a secret leads to", () => {
    using folder = scratch({
      "deploy/production.txt": "s",
      "deploy/readme.md": "",
      "keys/github": "s",
      "more/shop": "s",
      "secrets/old": "s",
    });
    symlinkSync("deploy/production.txt", join(folder.path, ".env"));
    symlinkSync("../keys/github", join(folder.path, "secrets/github"));
    symlinkSync("../more", join(folder.path, "secrets/more"));
    symlinkSync("..", join(folder.path, "secrets/up"));
    linkSync(join(folder.path, "deploy/production.txt"), join(folder.path, "copy.txt"));
    expect(listed(folder)).toEqual({
      held: [".env", "deploy/readme.md"],
      leftOut: ["copy.txt", "deploy/production.txt", "keys/github", "more/", "secrets/"],
    });
  });

  test("a hard link to a secret: its other name", () => {
    using other = scratch({ key: "s" });
    using folder = scratch({ ".env": "s", "secrets/deep/github": "s", "keys/shop": "s", "a.md": "" });
    linkSync(join(folder.path, ".env"), join(folder.path, "environment.txt"));
    linkSync(join(folder.path, "secrets/deep/github"), join(folder.path, "github.txt"));
    linkSync(join(folder.path, "keys/shop"), join(folder.path, "shop.txt"));
    linkSync(join(other.path, "key"), join(folder.path, "other.txt"));
    linkSync(join(folder.path, "a.md"), join(folder.path, "b.md"));
    expect(listed(folder, ["keys/shop", join(other.path, "key")])).toEqual({
      held: ["a.md", "b.md"],
      leftOut: [".env", "environment.txt", "github.txt", "keys/shop", "other.txt", "secrets/", "shop.txt"],
    });
    expect(listed(folder, null).leftOut).toEqual([]);
  });
});

describe("a backup holds", () => {
  test("code in folders that are called secrets, and files of packages", () => {
    const files = {
      "handlers/lib/secrets/index.ts": "",
      "handlers/secrets/paid.sql": "",
      "migrations/secrets/1.sql": "",
      "node_modules/dep/ca.pem": "",
      "node_modules/dep/secrets/index.js": "",
      "sub/node_modules/dep/secrets/test.key": "",
    };
    using folder = scratch(files);
    expect(listed(folder)).toEqual({ held: Object.keys(files), leftOut: [] });
  });

  test("files whose names only look alike", () => {
    const files = { "keys.md": "", npmrc: "", "pem/a.md": "", "secrets.md": "", "secretsanta/a.md": "" };
    using folder = scratch(files);
    expect(listed(folder)).toEqual({ held: Object.keys(files).sort(), leftOut: [] });
  });

  test("what a folder beside a folder called secrets shares", () => {
    using parent = scratch({ "secrets/shared/money.ts": "", "secrets/inbox/hookonce.toml": "" });
    const inbox = join(parent.path, "secrets/inbox");
    symlinkSync(join(parent.path, "secrets/shared"), join(inbox, "shared"));
    expect(listed({ ...parent, path: inbox }, []).held).toEqual(["hookonce.toml", "shared/money.ts"]);
  });
});
