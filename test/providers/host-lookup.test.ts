import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describeUnless, needsCommand, needsLinux, needsRoot, onlyInFullRun } from "../crash/requirements.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

describeUnless(
  onlyInFullRun() ?? needsLinux() ?? needsRoot() ?? needsCommand("unshare") ?? needsCommand("mount"),
  "with resolv.conf and hosts of the test",
  () => {
    test("a DNS server that is silent holds up no fsync, and a change of resolv.conf is seen", async () => {
      const folder = temporaryFolder("hookonce-lookup-", 1);
      const [resolvConf, hosts] = [join(folder, "resolv.conf"), join(folder, "hosts")];
      await Bun.write(resolvConf, "");
      await Bun.write(hosts, "127.0.0.1 localhost\n10.9.9.9 myhost\n10.9.9.8 myhost\nfd00::9 sixhost\n");
      const script = [
        `mount --bind ${resolvConf} /etc/resolv.conf`,
        `mount --bind ${hosts} /etc/hosts`,
        `exec ${process.execPath} ${import.meta.dir}/silent-dns.ts ${folder} 127.0.53.1 127.0.53.2`,
      ];
      const run = Bun.spawn(["unshare", "--mount", "sh", "-c", script.join(" && ")], { stderr: "inherit" });
      expect(JSON.parse(await run.stdout.text())).toEqual({
        search: ["10.1.2.3", "10.1.2.4"],
        hosts: ["10.9.9.9", "10.9.9.8"],
        ipv6: ["fd00::9"],
        localhost: true,
        unknown: "ENOTFOUND",
        endedBeforeTheSync: 0,
        back: ["10.1.2.3", "10.1.2.4"],
      });
      await rm(folder, { recursive: true });
    }, 60_000);
  },
);
