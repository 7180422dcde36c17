import { describe, expect, test } from "bun:test";
import { joinRequest, parseRequest } from "../../src/doctor/saved-request.ts";

const parse = (text: string | Uint8Array, url?: string) =>
  parseRequest(typeof text === "string" ? Buffer.from(text, "latin1") : text, 0, url);

describe("a saved request", () => {
  test("keeps the exact bytes of the body; header lines may end in LF or CRLF", () => {
    const body = Buffer.from([0, 255, 13, 10, 13, 10, 10]);
    for (const end of ["\r\n", "\n"]) {
      const head = ["POST /webhook/x?y=1 HTTP/1.1", "Host: a.example", "X-Two:  1", "x-two: 2 ", "", ""].join(
        end,
      );
      const request = parse(Buffer.concat([Buffer.from(head), body]));
      expect(request).toMatchObject({ method: "POST", url: "http://a.example/webhook/x?y=1" });
      expect({ ...request.headers }).toEqual({ host: "a.example", "x-two": "1, 2" });
      expect(Buffer.from(request.body)).toEqual(body);
    }
  });

  test("may have no body, no request line, a full URL, and any header names", () => {
    expect(parse("GET https://a.example/b HTTP/1.1\n\n")).toMatchObject({
      method: "GET",
      url: "https://a.example/b",
    });
    expect(parse("X-A: 1\n\n{}")).toMatchObject({ method: "POST", url: "http://localhost/" });
    expect(parse("X-A: 1\n\n{}", "https://c.example/d").url).toBe("https://c.example/d");
    expect(parse("__proto__: 1\nx-é: 2\n\n".replace("x-é: 2\n", "")).headers["__proto__"]).toBe("1");
  });

  test("may be two files, with the headers as lines or as the JSON that hookonce stores", () => {
    for (const head of ["POST / HTTP/1.1\r\nX-A: b\r\nX-C: \u00e9\r\n\r\n", "X-A: b\nX-C: \u00e9"]) {
      const { headers, body } = joinRequest(Buffer.from(head, "latin1"), Buffer.from("\n{}\n"), 0);
      expect([{ ...headers }, Buffer.from(body).toString()]).toEqual([
        { "x-a": "b", "x-c": "\u00e9" },
        "\n{}\n",
      ]);
    }
    const json = Buffer.from(JSON.stringify({ "x-a": "b", "x-c": "\u00e9" }));
    expect({ ...joinRequest(json, Buffer.from(""), 0).headers }).toEqual({ "x-a": "b", "x-c": "\u00e9" });
  });

  test.each([
    ["", "no blank line"],
    ["POST / HTTP/1.1\nX-A: 1\n", "no blank line"],
    ["POST / HTTP/1.1\nsomething secret that is long\n\n", '"something se…" is neither'],
  ])("is refused if it is not a request: %j", (text, why) => {
    expect(() => parse(text)).toThrow(why);
  });

  test("is refused if its headers begin like JSON but are not", () => {
    expect(() => joinRequest(Buffer.from("{nonsense"), Buffer.from(""), 0)).toThrow("begin like JSON");
  });
});
