import { describe, expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { inboxFiles, paid, scratch, serve, start, type Scratch } from "../cli/support/hookonce.ts";
import { needsCommand, onlyInFullRun, testUnless } from "../crash/requirements.ts";
import { binary, ensureBinary } from "../crash/server.ts";
import { freePort, startNginx, startSocat, type Proxy } from "./proxies.ts";

/**
 * Why an unsigned source is served only with --dev: behind these two, a request from anywhere arrives from a
 * loopback address, with a local Host and without a header of a proxy.
 */
const proxies = [
  {
    name: "nginx",
    does: "nginx's default proxy_pass",
    host: "hooks.example.com",
    /** What it answers if nothing listens behind it. */
    alone: 502,
    start: (folder: Scratch, upstream: number) =>
      startNginx(
        folder.path,
        "server { listen 80; location / { proxy_pass http://127.0.0.1:8787; } }",
        upstream,
      ),
  },
  {
    name: "socat",
    does: "socat with Host: localhost",
    host: "localhost",
    alone: undefined,
    start: (folder: Scratch, upstream: number) => startSocat(folder.path, upstream),
  },
];

/** The status of an unsigned delivery through the proxy, or undefined if there is no answer. */
async function deliver(proxy: Proxy, host: string, headers = {}): Promise<number | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${proxy.port}/webhook`, {
      method: "POST",
      body: JSON.stringify(paid),
      headers: { host, ...headers },
    });
    return response.status;
  } catch {
    return undefined;
  }
}

const signed = `
[sources.stripe]
provider = "stripe"
secret   = "env:STRIPE_WEBHOOK_SECRET"
`;

for (const { name, does, host, alone, start: startProxy } of proxies) {
  const reason = onlyInFullRun() ?? needsCommand(name);

  describe(`an unsigned source behind ${does}`, () => {
    testUnless(
      reason,
      "accepts nothing without --dev: the start is refused, and names both remedies",
      async () => {
        await ensureBinary();
        for (const more of ["", signed]) {
          using folder = scratch(inboxFiles);
          folder.write({ "hookonce.toml": inboxFiles["hookonce.toml"] + more });
          const port = await freePort();
          await using proxy = await startProxy(folder, port);
          await using started = start(folder.path, {
            program: [binary],
            dev: false,
            flags: ["--listen", `127.0.0.1:${port}`],
            environment: { STRIPE_WEBHOOK_SECRET: "whsec_x" },
          });
          const answers = new Set<number | undefined>();
          const delivering = (async () => {
            for (let sent = 0; sent < 20; sent++) answers.add(await deliver(proxy, host));
          })();
          const { code, stdout, stderr } = await started.ended;
          await delivering;
          expect(code).toBe(1);
          expect(stdout + stderr).toContain("hookonce serve --dev");
          expect(stdout + stderr).toContain("allow_public = true");
          expect([...answers]).toEqual([alone]);
          expect(existsSync(join(folder.path, "data/hookonce.db"))).toBe(false);
        }
      },
      60_000,
    );

    testUnless(
      reason,
      "is reached with allow_public = true, and with --dev unless the proxy says that it is one",
      async () => {
        await ensureBinary();
        using folder = scratch(inboxFiles);
        await using dev = await serve(folder.path, { program: [binary] });
        await using toDev = await startProxy(folder, Number(new URL(dev.url).port));
        expect(await deliver(toDev, host)).toBe(200);
        expect(await deliver(toDev, host, { "x-forwarded-for": "203.0.113.9" })).toBe(403);

        using open = scratch(inboxFiles);
        open.write({ "hookonce.toml": `${inboxFiles["hookonce.toml"]}allow_public = true\n` });
        await using server = await serve(open.path, { program: [binary], dev: false });
        await using toOpen = await startProxy(open, Number(new URL(server.url).port));
        expect(await deliver(toOpen, host)).toBe(200);
      },
      60_000,
    );
  });
}
