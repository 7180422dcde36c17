import { describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { certificateOf } from "./certificate.ts";
import { answerOf, message, plain, receiver, senderTo, sendTo, until } from "./receivers.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

/** A lookup that finds these addresses. */
const finds = (...addresses: string[]) => ({ lookup: async () => addresses.map((address) => ({ address })) });
const ok = answerOf("200 OK", "fine");
const { signal } = new AbortController();

describe("the address", () => {
  test.each([
    ["169.254.169.254", "a link-local address"],
    ["fe80::1%eth0", "a link-local address"],
    ["::ffff:169.254.169.254", "a link-local address"],
    ["fd00:ec2::254", "the metadata server of AWS"],
    ["100.100.100.200", "the metadata server of Alibaba Cloud"],
  ])("%s is refused after the lookup", async (address, what) => {
    let isSigned = false;
    const sign: typeof plain = (...args) => {
      isSigned = true;
      return plain(...args);
    };
    const result = await sendTo("http://app.test/", { ...finds(address), sign });
    expect(result).toMatchObject({
      verdict: "failed",
      status: null,
      error: `address_refused: app.test is at ${address}, which is ${what}. hookonce sends nothing there`,
    });
    expect(isSigned).toBe(false);
  });

  test.each(["169.254.169.254", "2852039166", "0251.0376.0251.0376", "0xa9fea9fe", "[::ffff:a9fe:a9fe]"])(
    "http://%s/ is refused without a lookup",
    async (host) => {
      const { verdict, error } = await sendTo(`http://${host}/`, finds("127.0.0.1"));
      expect({ verdict, error }).toEqual({
        verdict: "failed",
        error: expect.stringMatching(/^address_refused: [\d.a-f:]+ is a link-local address/),
      });
    },
  );

  test("is looked up and checked at each attempt, and the connection goes to the one that was checked", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    // A server of an attacker gives each question another answer.
    const answers = ["127.0.0.1", "169.254.169.254", "127.0.0.1"];
    let lookups = 0;
    const sender = senderTo(`http://rebind.test:${it.port}/`, {
      lookup: async () => [{ address: answers[lookups++] ?? "" }],
    });
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    expect(lookups).toBe(1);
    // The open connection is not used either.
    expect((await sender.send(message, signal)).error).toStartWith("address_refused: ");
    expect(it.requests).toHaveLength(1);
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    expect(lookups).toBe(3);
    expect(it.requests[0]).toContain(`\r\nHost: rebind.test:${it.port}\r\n`);
  });

  test("that is refused leaves the other addresses of the name", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    expect(await sendTo(`http://app.test:${it.port}/`, finds("fe80::1%eth0", "127.0.0.1"))).toMatchObject({
      verdict: "delivered",
    });
  });

  test("that refuses the connection is followed by the next, and goes last in the next attempt", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    let signatures = 0;
    const sender = senderTo(`http://app.test:${it.port}/`, {
      ...finds("127.0.0.2", "127.0.0.1"),
      sign: (one, url) => {
        signatures++;
        return plain(one, url);
      },
    });
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    expect(signatures).toBe(2);
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    expect(signatures).toBe(3);
  });

  test("that does not answer goes last in the next attempt", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    await using hanging = await receiver(() => {}, { host: "127.0.0.2", port: it.port });
    const sender = senderTo(`http://app.test:${it.port}/`, {
      timeoutMs: 1000,
      ...finds("127.0.0.2", "127.0.0.1"),
    });
    expect((await sender.send(message, signal)).error).toBe("no answer within 1s");
    expect(hanging.requests).toHaveLength(1);
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
  });

  test("of each refused connection is named", async () => {
    const it = await receiver(() => {});
    await it[Symbol.asyncDispose]();
    expect((await sendTo(`http://app.test:${it.port}/`, finds("127.0.0.2", "127.0.0.1"))).error).toBe(
      `nothing listens at app.test:${it.port} (127.0.0.2, 127.0.0.1)`,
    );
  });

  const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === "::1"));

  test.skipIf(!hasIPv6)("may be an IPv6 one (needs a machine with ::1)", async () => {
    await using it = await receiver((socket) => socket.write(ok), { host: "::1" });
    expect(await sendTo(it.url)).toMatchObject({ verdict: "delivered" });
    const named = await sendTo(`http://app.test:${it.port}/`, finds("::1"));
    expect(named).toMatchObject({ verdict: "delivered" });
    expect(it.requests.map((head) => /\r\nHost: (.*)/.exec(head)?.[1])).toEqual([
      `[::1]:${it.port}`,
      `app.test:${it.port}`,
    ]);
  });

  test("of localhost is found by the lookup of this machine", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    expect(await sendTo(`http://localhost:${it.port}/`)).toMatchObject({ verdict: "delivered" });
  });

  test.each([
    ["ENOTFOUND", "the name app.test is not known"],
    ["EAI_AGAIN", "the name app.test cannot be looked up now: it failed (EAI_AGAIN)"],
  ])("that is not found because of %s is a failure in plain words", async (code, error) => {
    const lookup = () => Promise.reject(Object.assign(new Error("it failed"), { code }));
    expect(await sendTo("http://app.test/", { lookup })).toMatchObject({ verdict: "failed", error });
  });

  test("is missing if the name has none", async () => {
    expect((await sendTo("http://app.test/", finds())).error).toBe("the name app.test has no address");
  });
});

describe("TLS", () => {
  const a = certificateOf("a.test");
  const local = finds("127.0.0.1");

  test("accepts the certificate of the name in the URL, and keeps the connection", async () => {
    await using it = await receiver((socket) => socket.write(ok), { tls: a });
    const sender = senderTo(`https://a.test:${it.port}/`, { ...local, ca: a.cert });
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered", answer: "fine" });
    expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    expect(it.connections).toBe(1);
    expect(it.requests[0]).toContain(`\r\nHost: a.test:${it.port}\r\n`);
  });

  test("accepts a name with a dot at its end", async () => {
    await using it = await receiver((socket) => socket.write(ok), { tls: a });
    const result = await sendTo(`https://a.test.:${it.port}/`, { ...local, ca: a.cert });
    expect(result).toMatchObject({ verdict: "delivered" });
  });

  test("refuses the certificate of another name, even if a connection to it is open", async () => {
    await using it = await receiver((socket) => socket.write(ok), { tls: a });
    expect(await sendTo(`https://a.test:${it.port}/`, { ...local, ca: a.cert })).toMatchObject({
      verdict: "delivered",
    });
    expect(await sendTo(`https://b.test:${it.port}/`, { ...local, ca: a.cert })).toMatchObject({
      verdict: "failed",
      error: `the certificate of b.test:${it.port} (127.0.0.1) is for another name`,
    });
    expect(it.requests).toHaveLength(1);
  });

  test("refuses a certificate that this machine does not trust", async () => {
    await using it = await receiver((socket) => socket.write(ok), { tls: a });
    const { verdict, error } = await sendTo(`https://a.test:${it.port}/`, local);
    expect(verdict).toBe("failed");
    expect(error).toMatch(/^this machine does not trust the certificate of a\.test:\d+ \(127\.0\.0\.1\) \(/);
    expect(it.requests).toHaveLength(0);
  });

  test("compares an address in the URL with the addresses in the certificate", async () => {
    const right = certificateOf("127.0.0.1");
    await using it = await receiver((socket) => socket.write(ok), { tls: right });
    expect(await sendTo(it.url, { ca: right.cert })).toMatchObject({ verdict: "delivered" });
    await using other = await receiver((socket) => socket.write(ok), { tls: a });
    expect((await sendTo(other.url, { ca: a.cert })).error).toBe(
      `the certificate of 127.0.0.1:${other.port} is for another name`,
    );
  });

  test("with a receiver that does not speak it is a failure in plain words", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    expect((await sendTo(it.url.replace("http:", "https:"), { timeoutMs: 2000 })).error).toMatch(
      /^(?:127\.0\.0\.1:\d+ does not speak TLS|no answer within 2s)/,
    );
  });
});

describeUnless(onlyInFullRun(), "connections", () => {
  test("are used again: 200 messages in a row need few", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    const sender = senderTo(it.url);
    for (let count = 0; count < 200; count++) {
      expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    }
    // On a loaded machine one may be idle for so long that it is closed.
    expect(it.connections).toBeLessThanOrEqual(5);
  });

  test("that the receiver closes after each answer are opened again", async () => {
    await using it = await receiver((socket) => socket.end(answerOf("200 OK", "", "Connection: close")));
    const sender = senderTo(it.url);
    for (let count = 0; count < 20; count++) {
      expect(await sender.send(message, signal)).toMatchObject({ verdict: "delivered" });
    }
    expect(it.connections).toBe(20);
  });

  test("are few for 3,000 messages, 4 at a time", async () => {
    using it = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(null, { status: 204 }),
    });
    const sender = senderTo(it.url.href);
    let left = 3000;
    let delivered = 0;
    const lane = async (): Promise<void> => {
      while (left-- > 0) if ((await sender.send(message, signal)).verdict === "delivered") delivered++;
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
    expect(delivered).toBe(3000);
  });

  test("do not go through the proxy of the environment", async () => {
    await using it = await receiver((socket) => socket.write(ok));
    await using proxy = await receiver((socket) => socket.write(answerOf("200 OK", "proxy")));
    const before = { ...process.env };
    Object.assign(process.env, { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, NO_PROXY: "" });
    try {
      // fetch by itself would use it.
      expect(await (await fetch(it.url)).text()).toBe("proxy");
      expect(await sendTo(it.url)).toMatchObject({ verdict: "delivered", answer: "fine" });
    } finally {
      for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
    await until(() => it.requests.length === 1);
    expect(proxy.requests).toHaveLength(1);
  });
});
