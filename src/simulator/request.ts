import type { OutgoingRequest } from "../providers/context.ts";
import { newPart, writeMultipart } from "../providers/body/multipart.ts";
import { changeBody } from "../providers/body/payload.ts";
import type { Provider } from "../providers/provider.ts";
import { kindOf, type Scheme } from "../providers/schemes.ts";
import type { Example, Seed } from "./example.ts";

/** A provider's delivery of these events, not yet signed. */
export function requestOf(example: Example, seeds: readonly [Seed, ...Seed[]], url: string): OutgoingRequest {
  const { event, wrap, headers, query, form, files, contentType = "application/json" } = example;
  const [first] = seeds;
  const payload = wrap === undefined ? event(first) : wrap(seeds.map(event), first);
  const request = (type: string, body: Uint8Array): OutgoingRequest => ({
    method: "POST",
    url: query === undefined ? url : withQuery(url, query(first)),
    headers: { "content-type": type, ...headers?.(first) },
    body,
  });
  if (form === undefined) return request(contentType, Buffer.from(JSON.stringify(payload)));
  const fields =
    form === "fields" ? (payload as Record<string, string>) : { [form.field]: JSON.stringify(payload) };
  if (files === undefined) {
    const text = new URLSearchParams(fields).toString();
    return request("application/x-www-form-urlencoded", Buffer.from(text));
  }
  const type = `multipart/form-data; boundary=hookonce-${first.id}`;
  const parts = [
    ...Object.entries(fields).map(([name, value]) => newPart(name, value)),
    ...files(first).map(({ field, content, ...file }) => newPart(field, content, file)),
  ];
  return request(type, writeMultipart({ "content-type": type }, parts));
}

/** The content type of a body that a user gives, if its first bytes show that it is not the usual one. */
export function contentTypeOf(body: Uint8Array, usual: string): string {
  const start = Buffer.from(body.subarray(0, 200)).toString("latin1");
  const boundary = /^(?:\r\n)?--([^\r\n]{1,70}?)[ \t]*\r?\n/.exec(start)?.[1];
  if (boundary !== undefined) return `multipart/form-data; boundary="${boundary}"`;
  if (/^\uFEFF?\s*[[{]/.test(start.replace("\u00ef\u00bb\u00bf", "")))
    return usual.startsWith("multipart/") ? "application/json" : usual;
  return /^[^\s=&<]+=/.test(start) ? "application/x-www-form-urlencoded" : usual;
}

function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const made = new URL(url);
  for (const [name, value] of Object.entries(query)) made.searchParams.set(name, value);
  return made.href;
}

/** Why a receiver would not notice a changed body; undefined if it would. */
export function whyNotTampered(scheme: Scheme): string | undefined {
  return kindOf(scheme).unsignedBody(scheme);
}

/** Returns a signed request with one value of its body changed after signing. */
export function tampered(
  request: OutgoingRequest,
  scheme: Scheme,
  { formField }: Pick<Provider, "formField">,
): OutgoingRequest {
  const key = kindOf(scheme).signedField;
  let done = false;
  const change = (value: unknown, name: string): unknown => {
    if (done) return value;
    if (typeof value === "string" && (key === undefined || name === key)) {
      done = true;
      return `${value}-tampered`;
    }
    if (Array.isArray(value)) return value.map((one) => change(one, name));
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
      return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, change(one, name)]));
  };
  const body = changeBody(request, (payload) => change(payload, ""), formField);
  return { ...request, body: done ? body : Buffer.concat([request.body, Buffer.from(" ")]) };
}

/**
 * How long ago a delivery must have been signed to be refused, in milliseconds.
 *
 * @returns undefined if the age of a signature is not checked
 */
export function staleAge(scheme: Scheme): number | undefined {
  const seconds = kindOf(scheme).tolerance(scheme);
  return seconds === undefined ? undefined : (seconds + 60) * 1000;
}
