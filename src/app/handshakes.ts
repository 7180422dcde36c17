import type { HandshakeConfig } from "../config/schema.ts";
import type { Condition, EchoForm, Handshake } from "../providers/handshake.ts";
import type { Provider } from "../providers/provider.ts";
import type { KeyedMessage } from "./pointless-keys.ts";

/** A provider with the handshakes of the config before its own. */
export function withHandshakes(provider: Provider, configured: readonly HandshakeConfig[] = []): Provider {
  if (configured.length === 0) return provider;
  return { ...provider, handshakes: [...configured.map(handshakeOf), ...(provider.handshakes ?? [])] };
}

function handshakeOf({ method, when = {}, token, echo, as, signed }: HandshakeConfig): Handshake {
  return {
    name: `${method} handshake`,
    on: method !== "POST" ? method : signed === true ? "signed" : "unsigned",
    when: [
      ...Object.entries(when).map(([at, is]) => conditionOf(at, is)),
      ...(token === undefined ? [] : [{ at: token, isVerifyToken: true } as const]),
    ],
    answer:
      echo === undefined
        ? { status: 200, contentType: "text/plain" }
        : { echo, ...(as === undefined ? {} : { as: as as EchoForm }) },
  };
}

function conditionOf(at: string, is: string | number | boolean): Condition {
  if (typeof is !== "boolean") return { at, is };
  return is ? { at } : { at, absent: true };
}

/** What is wrong with the handshakes of a source. Each message follows the source's name. */
export function handshakeProblems(
  configured: readonly HandshakeConfig[] = [],
  verifyToken: string | undefined,
): KeyedMessage[] {
  return configured.flatMap(({ method, when = {}, token, echo, as, signed }, index) => {
    const problems: KeyedMessage[] = [];
    const add = (key: string, message: string): void =>
      void problems.push({ key: `handshake.${index}.${key}`, message });
    if (method === "POST" && Object.keys(when).length === 0) {
      add(
        "method",
        'handshake.method = "POST" would answer every event without recording it; add when = { "body:$.type" = "ping" }, or what tells the handshake from an event',
      );
    }
    if (signed !== undefined && method !== "POST")
      add("signed", `handshake.signed = ${signed} has no effect: a ${method} is never signed; remove it`);
    if (as !== undefined && echo === undefined)
      add(
        "as",
        `handshake.as = ${JSON.stringify(as)} has no effect: nothing is sent back; add echo = "query:challenge", or remove it`,
      );
    if (token !== undefined && verifyToken === undefined)
      add(
        "token",
        `handshake.token = ${JSON.stringify(token)} is compared with verify_token, which is missing; add verify_token = "env:NAME"`,
      );
    const paths = [
      ...Object.keys(when).map((path) => ["when", path] as const),
      ["token", token],
      ["echo", echo],
    ];
    const [key, path] = paths.find(([, path]) => path?.startsWith("body:") === true) ?? [];
    if (method !== "POST" && key !== undefined)
      add(
        key,
        `handshake: ${path} is in the body, which a ${method} does not have; write a query:name or header:name`,
      );
    return problems;
  });
}
