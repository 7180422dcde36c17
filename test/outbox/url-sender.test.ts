import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import type { AttemptResult } from "../../src/outbox/sender.ts";
import { answerOf, message, NOW, plain, receiver, senderTo, sendTo, until } from "./receivers.ts";
import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";

const MIB = 1024 * 1024;

/** The sender reads the clock to sign, and again once it knows the status of a failure. */
function afterStatus(act: () => void): () => number {
  let readings = 0;
  return () => {
    if (++readings === 2) act();
    return NOW;
  };
}

/** Writes as fast as the connection takes it, and counts. */
function flood(socket: Socket, written: { bytes: number }): void {
  const block = Buffer.alloc(64 * 1024, "a");
  const write = (): void => {
    while (!socket.destroyed && written.bytes < 1024 * MIB) {
      written.bytes += block.byteLength;
      if (!socket.write(block)) return void socket.once("drain", write);
    }
  };
  write();
}

interface Scenario extends Pick<AttemptResult, "verdict" | "status" | "error"> {
  readonly answer: string;
  readonly text: string;
}

describe("an answer", () => {
  test.each<Scenario>([
    { answer: answerOf("200 OK", "fine"), verdict: "delivered", status: 200, error: null, text: "fine" },
    { answer: "HTTP/1.1 204 No Content\r\n\r\n", verdict: "delivered", status: 204, error: null, text: "" },
    {
      answer: answerOf("500 No", "boom"),
      verdict: "failed",
      status: 500,
      error: "answered 500",
      text: "boom",
    },
    { answer: answerOf("404 No", "?"), verdict: "failed", status: 404, error: "answered 404", text: "?" },
    { answer: answerOf("410 Gone", ""), verdict: "gone", status: 410, error: "answered 410", text: "" },
    { answer: answerOf("304 Same"), verdict: "failed", status: 304, error: "answered 304", text: "" },
    {
      answer: `HTTP/1.1 103 Early Hints\r\n\r\n${answerOf("202 Accepted", "queued")}`,
      verdict: "delivered",
      status: 202,
      error: null,
      text: "queued",
    },
    {
      answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
      verdict: "delivered",
      status: 200,
      error: null,
      text: "hi",
    },
  ])("$status is $verdict", async ({ answer, verdict, status, error, text }) => {
    await using it = await receiver((socket) => socket.write(answer));
    const result = await sendTo(it.url);
    expect(result).toMatchObject({ verdict, status, error, answer: text, retryAfterMs: null });
    expect(result.ms).toBeGreaterThanOrEqual(0);
  });

  test.each([
    ["120", 120_000],
    ["-1", 0],
    ["Sat, 28 Nov 2026 00:01:30 GMT", 90_000],
    ["Saturday, 28-Nov-26 00:01:30 GMT", 90_000],
    ["Sat Nov 28 00:01:30 2026", 90_000],
    ["Fri, 27 Nov 2026 00:00:00 GMT", 0],
    ["soon", null],
  ])("429 with Retry-After: %s is failed, and says when to try again", async (value, retryAfterMs) => {
    await using it = await receiver((socket) =>
      socket.write(answerOf("429 Too Many Requests", "slow down", `Retry-After: ${value}`)),
    );
    expect(await sendTo(it.url)).toMatchObject({ verdict: "failed", status: 429, retryAfterMs });
  });

  test.each([
    ["https://other.test/in?token=abc#x", "to https://other.test/in"],
    ["/next", "to URL/next"],
    ["http://[", "elsewhere"],
  ])("a redirect to %s is not followed, and its target is named", async (location, where) => {
    await using it = await receiver((socket) =>
      socket.write(answerOf("302 Found", "", `Location: ${location}`)),
    );
    const { verdict, status, error } = await sendTo(`${it.url}/in`);
    expect({ verdict, status }).toEqual({ verdict: "failed", status: 302 });
    expect(error).toBe(
      `answered 302 and redirects ${where.replace("URL", it.url)}. Redirects are not followed: write the final address as url`,
    );
    expect(it.requests).toHaveLength(1);
  });

  test("its first 4 kB are kept, cut after a whole character, and invalid UTF-8 is replaced", async () => {
    await using it = await receiver((socket) => {
      const body = Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from("€".repeat(5000))]);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.byteLength}\r\n\r\n`);
      socket.write(body);
    });
    const { answer } = await sendTo(it.url);
    // U+FFFD takes 3 bytes and U+0000 one, so 1,364 times 3 bytes are left.
    expect(answer).toBe(`\uFFFD\0${"€".repeat(1364)}`);
  });

  test("a compressed one is not inflated", async () => {
    await using it = await receiver((socket) => {
      const body = Bun.gzipSync(Buffer.alloc(MIB));
      socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.byteLength}\r\n\r\n`);
      socket.write(body);
    });
    const { verdict, answer } = await sendTo(it.url);
    expect(verdict).toBe("delivered");
    expect(answer.length).toBeLessThan(2000);
    expect(it.requests[0]).toContain("Accept-Encoding: identity");
  });
});

describeUnless(onlyInFullRun(), "a body that does not end", () => {
  test.each([
    ["200 OK", "delivered"],
    ["500 No", "failed"],
  ])("a gigabyte after %s is cut off, and the attempt is %s", async (status, verdict) => {
    const written = { bytes: 0 };
    await using it = await receiver((socket) => {
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${1024 * MIB}\r\n\r\n`);
      flood(socket, written);
    });
    const result = await sendTo(it.url);
    expect(result.verdict as string).toBe(verdict);
    expect(result.answer).toBe("a".repeat(4096));
    await until(() => it.open === 0);
    // What the kernel holds for both ends of the connection is in it.
    expect(written.bytes).toBeLessThan(64 * MIB);
  });

  test.each([
    ["200 OK", "delivered"],
    ["503 No", "failed"],
  ])("one that drips after %s is %s, with what has come so far", async (status, verdict) => {
    await using it = await receiver((socket) => {
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 100000\r\n\r\nfirst`);
      const timer = setInterval(() => void socket.write("."), 100);
      socket.on("close", () => clearInterval(timer));
    });
    const result = await sendTo(it.url, { timeoutMs: 60_000 });
    expect(result.verdict as string).toBe(verdict);
    expect(result.answer).toStartWith("first");
    // The time limit would be reached after a minute.
    expect(result.ms).toBeLessThan(30_000);
    await until(() => it.open === 0);
  });

  test("one that ends too early is delivered, because the status is known", async () => {
    await using it = await receiver((socket) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    );
    expect(await sendTo(it.url)).toMatchObject({ verdict: "delivered", status: 200 });
  });

  test("one that is reset after the headers keeps its status", async () => {
    let answered: Socket | undefined;
    await using it = await receiver((socket) => {
      answered = socket;
      socket.write("HTTP/1.1 503 No\r\nContent-Length: 10\r\n\r\nabc");
    });
    const clock = afterStatus(() => answered?.resetAndDestroy());
    expect(await sendTo(it.url, { clock })).toMatchObject({ verdict: "failed", status: 503 });
  });

  test("chunks that are not HTTP end the answer, not the delivery", async () => {
    await using it = await receiver((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello");
    });
    expect(await sendTo(it.url)).toMatchObject({ verdict: "delivered", status: 200 });
  });
});

describeUnless(onlyInFullRun(), "without an answer", () => {
  test.each<[string, (socket: Socket) => void, RegExp]>([
    ["a reset", (socket) => socket.resetAndDestroy(), /^the connection to HOST was reset, or closed before/],
    ["a close", (socket) => socket.end(), /^the connection to HOST was reset, or closed before/],
    [
      "a close within the headers",
      (socket) => socket.end("HTTP/1.1 200 OK\r\nX: "),
      /^the connection to HOST was reset, or closed before/,
    ],
    ["garbage", (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n"), /^the answer of HOST is not HTTP$/],
    [
      "a switch of protocols",
      (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
      /^the answer of HOST is not HTTP$/,
    ],
    [
      "headers without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        const line = `X: ${"a".repeat(9000)}\r\n`;
        const write = (): void => {
          while (!socket.destroyed) if (!socket.write(line)) return void socket.once("drain", write);
        };
        write();
      },
      /^the headers of the answer of HOST are too large$/,
    ],
  ])("%s is a failure in plain words", async (_, answer, words) => {
    await using it = await receiver(answer);
    const { verdict, status, error } = await sendTo(it.url);
    expect({ verdict, status }).toEqual({ verdict: "failed", status: null });
    expect(error?.replace(it.url.slice("http://".length), "HOST")).toMatch(words);
  });

  test("a connection that is refused says that nothing listens there", async () => {
    const it = await receiver(() => {});
    await it[Symbol.asyncDispose]();
    expect(await sendTo(it.url)).toMatchObject({
      verdict: "failed",
      status: null,
      error: `nothing listens at 127.0.0.1:${it.port}`,
    });
  });

  test.each<[string, (socket: Socket) => void]>([
    ["hangs", () => {}],
    [
      "drips headers",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        let count = 0;
        const timer = setInterval(() => void socket.write(`X-${count++}: 1\r\n`), 50);
        socket.on("close", () => clearInterval(timer));
      },
    ],
    ["sends half a status line", (socket) => socket.write("HTTP/1.")],
  ])("a receiver that %s fails at the time limit, and its connection is closed", async (_, answer) => {
    await using it = await receiver(answer);
    const result = await sendTo(it.url, { timeoutMs: 1000 });
    expect(result).toMatchObject({ verdict: "failed", status: null, error: "no answer within 1s" });
    expect(result.ms).toBeGreaterThanOrEqual(990);
    await until(() => it.open === 0);
  });

  test("a lookup that hangs fails at the time limit", async () => {
    const result = await sendTo("http://app.test/", {
      timeoutMs: 1000,
      lookup: () => new Promise(() => {}),
    });
    expect(result).toMatchObject({ verdict: "failed", error: "no answer within 1s" });
  });

  test("a signature that hangs fails at the time limit", async () => {
    const result = await sendTo("http://127.0.0.1:1/", {
      timeoutMs: 1000,
      sign: () => new Promise(() => {}),
    });
    expect(result).toMatchObject({ verdict: "failed", error: "no answer within 1s" });
  });
});

describeUnless(onlyInFullRun(), "a stop", () => {
  test("interrupts an attempt at once, and closes its connection", async () => {
    await using it = await receiver(() => {});
    const stop = new AbortController();
    const sent = sendTo(it.url, { timeoutMs: 600_000 }, stop.signal);
    await until(() => it.requests.length === 1);
    stop.abort();
    expect(await sent).toMatchObject({ verdict: "interrupted", status: null });
    await until(() => it.open === 0);
  });

  test("before an attempt sends nothing", async () => {
    await using it = await receiver((socket) => socket.write(answerOf("200 OK")));
    expect(await sendTo(it.url, {}, AbortSignal.abort())).toMatchObject({ verdict: "interrupted" });
    expect(it.requests).toHaveLength(0);
  });

  test("during a lookup interrupts", async () => {
    const stop = new AbortController();
    const lookup = (): Promise<never> => {
      setTimeout(() => stop.abort());
      return new Promise(() => {});
    };
    expect(await sendTo("http://app.test/", { lookup }, stop.signal)).toMatchObject({
      verdict: "interrupted",
    });
  });

  test("while the body is read keeps the status", async () => {
    await using it = await receiver((socket) =>
      socket.write("HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nabc"),
    );
    const stop = new AbortController();
    const clock = afterStatus(() => stop.abort());
    expect(await sendTo(it.url, { clock }, stop.signal)).toMatchObject({ verdict: "failed", status: 503 });
    await until(() => it.open === 0);
  });

  test("leaves no listener on the signal after an attempt", async () => {
    await using it = await receiver((socket) => socket.write(answerOf("200 OK")));
    let listeners = 0;
    const { signal } = new AbortController();
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners--;
      remove(...args);
    };
    await sendTo(it.url, {}, signal);
    expect(listeners).toBe(0);
  });
});

describe("the request", () => {
  test("has the method, headers and body of the signed one, and the destination's host", async () => {
    await using it = await receiver((socket) => socket.write(answerOf("200 OK")));
    await sendTo(`${it.url}/in/{source}?id={body:$.id}`, {
      sign: (one, url, nowMs) => ({
        ...plain(one, url),
        method: "PUT",
        url: `${url}&key=1`,
        headers: { "x-signed-at": String(nowMs), host: "hooks.example.com", "user-agent": "Stripe/1.0" },
      }),
    });
    const [first = "", ...headers] = it.requests[0]?.split("\r\n") ?? [];
    expect(first).toBe("PUT /in/shop?id=evt_1&key=1 HTTP/1.1");
    expect(headers.map((line) => line.toLowerCase()).sort()).toEqual([
      "accept-encoding: identity",
      "accept: */*",
      "connection: keep-alive",
      "content-length: 14",
      `host: 127.0.0.1:${it.port}`,
      "user-agent: stripe/1.0",
      `x-signed-at: ${NOW}`,
    ]);
  });

  test("is not sent if the URL lacks a value, and no later attempt changes that", async () => {
    await using it = await receiver((socket) => socket.write(answerOf("200 OK")));
    expect(await sendTo(`${it.url}/{body:$.missing}`)).toMatchObject({
      verdict: "hopeless",
      error: "The URL needs {body:$.missing}, but the message has no such text or number.",
    });
    expect(it.requests).toHaveLength(0);
  });

  test("is not sent with a header that HTTP does not allow", async () => {
    const { verdict, error } = await sendTo("http://127.0.0.1:1/", {
      sign: (one, url) => ({ ...plain(one, url), headers: { "x-note": "two\r\nlines" } }),
    });
    expect({ verdict, error }).toEqual({
      verdict: "hopeless",
      error: "the message cannot be sent: Header 'x-note' has invalid value",
    });
  });

  test("is not sent if it cannot be signed", async () => {
    const result = await sendTo("http://127.0.0.1:1/", {
      sign: () => Promise.reject(new Error("the key is broken")),
    });
    expect(result).toMatchObject({
      verdict: "failed",
      error: "the message cannot be signed: the key is broken",
    });
  });
});

describe("secrets", () => {
  const secret = "Bearer s3cret/token+1";

  test("are hidden in what the receiver repeats", async () => {
    await using it = await receiver((socket) => {
      const spellings = [secret, "s3cret/token+1", "s3cret%2Ftoken%2B1", btoa("s3cret/token+1")];
      socket.write(answerOf("401 No", `not ${spellings.join(" and not ")}!`));
    });
    const { answer } = await sendTo(it.url, { secrets: [secret] });
    expect(answer).toBe("not [redacted] and not [redacted] and not [redacted] and not [redacted]!");
  });

  test("are hidden at the end of what is kept", async () => {
    await using it = await receiver((socket) =>
      socket.write(answerOf("401 No", `${"a".repeat(4090)}s3cret/token+1`)),
    );
    const { answer } = await sendTo(it.url, { secrets: [secret] });
    expect(answer).toBe(`${"a".repeat(4090)}[redac`);
  });

  test("are hidden in the target of a redirect", async () => {
    await using it = await receiver((socket) =>
      socket.write(answerOf("302 Found", "", "Location: /login/s3cret/token+1")),
    );
    const { error } = await sendTo(it.url, { secrets: [secret] });
    expect(error).toContain("/login/[redacted].");
  });
});

test("a sender sends many messages at a time", async () => {
  await using it = await receiver((socket) => socket.write(answerOf("200 OK")));
  const sender = senderTo(it.url);
  const { signal } = new AbortController();
  const results = await Promise.all(Array.from({ length: 50 }, () => sender.send(message, signal)));
  expect(results.filter(({ verdict }) => verdict === "delivered")).toHaveLength(50);
  expect(it.requests).toHaveLength(50);
});
