import { HookonceError } from "../../errors.ts";
import type { HeaderCheck, VerifyContext } from "../context.ts";
import { forwardedHeader, isLoopback } from "./forwarded.ts";
import { defineKind } from "./scheme.ts";

/**
 * Anyone who can reach the source is trusted. For trying things out, and for pings that only say "go and
 * look".
 */
export interface UnsignedScheme {
  readonly kind: "unsigned";
}

export const unsigned = defineKind<UnsignedScheme>({
  kind: "unsigned",
  proof: "none",
  configKeys: ["allow_public"],
  createVerifier: createCheck,
  createHeaderCheck: createCheck,
  sign: (_, request) => request,
  describe: () => "no signature: anyone who can reach the source is trusted",
  makeKeys: () => ({ secret: "" }),
  unsignedBody: () => "nothing is signed",
});

/** The headers and the peer's address decide. */
function createCheck(_: UnsignedScheme, { allowPublic }: VerifyContext): HeaderCheck {
  return allowPublic ? () => {} : createLoopbackCheck();
}

/**
 * Accepts only requests that this machine made itself: not what a browser page sends to localhost, and not
 * what a proxy or tunnel forwards.
 *
 * @returns a function that throws `unsigned_not_loopback`
 */
function createLoopbackCheck(): HeaderCheck {
  return ({ headers, remoteAddress }) => {
    const address = remoteAddress();
    const forwarded = forwardedHeader(headers);
    const why =
      address === null || !isLoopback(address)
        ? "it did not come from this machine"
        : !isLoopbackHost(headers["host"] ?? "")
          ? "its Host is not localhost"
          : forwarded !== undefined
            ? `it carries the header ${forwarded}, so a browser, proxy or tunnel sent it`
            : undefined;
    if (why === undefined) return;
    throw new HookonceError(
      "unsigned_not_loopback",
      `This source is unsigned and only answers requests from this machine: ${why}. Give the source a provider and a secret, or set allow_public = true.`,
    );
  };
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(name);
}
