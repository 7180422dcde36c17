import type { ReceivedUpTo } from "../../engines/arrivals.ts";
import type { Newest } from "../../engines/reader.ts";
import { HookonceError } from "../../errors.ts";

/** Where the next page begins, as a text that a client only passes back. */

export function writeNewest(position: Newest | undefined): string | null {
  if (position === undefined) return null;
  const { at, failure, id, byId = false } = position;
  return `${at}.${failure}.${id}${byId ? ".id" : ""}`;
}

/** @throws HookonceError `invalid_cursor` */
export function readNewest(cursor: string | undefined): Newest | undefined {
  if (cursor === undefined) return undefined;
  const found = /^(?<at>\d{1,15})\.(?<failure>[01])\.(?<id>\d{1,15})(?<byId>\.id)?$/.exec(cursor)?.groups;
  if (found === undefined) throw invalid();
  return {
    at: Number(found["at"]),
    failure: found["failure"] === "1" ? 1 : 0,
    id: Number(found["id"]),
    ...(found["byId"] === undefined ? {} : { byId: true }),
  };
}

/** @throws HookonceError `invalid_cursor` */
export function readNumber(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  if (!/^\d{1,15}$/.test(cursor)) throw invalid();
  return Number(cursor);
}

export function writePlace({ position, failure, mark, failureMark }: ReceivedUpTo): string {
  return [position, failure, mark, failureMark].join(".");
}

/** @throws HookonceError `invalid_cursor` */
export function readPlace(cursor: string): ReceivedUpTo {
  const form = /^(?<position>\d{1,15})\.(?<failure>\d{1,15})\.(?<mark>[0-9a-f]*)\.(?<failureMark>[0-9a-f]*)$/;
  const found = form.exec(cursor)?.groups;
  if (found === undefined) throw invalid();
  const { position, failure, mark = "", failureMark = "" } = found;
  return { position: Number(position), failure: Number(failure), mark, failureMark };
}

function invalid(): HookonceError {
  return new HookonceError("invalid_cursor", "The cursor is not one that a list has returned as next.");
}
