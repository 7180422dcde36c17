import type { Headers } from "../event.ts";
import { compileSelector } from "./body/selector.ts";
import type { TestMark } from "./provider.ts";

/** Whether an event is marked as a test. */
export type IsTest = (event: { readonly headers: Headers; readonly payload: unknown }) => boolean;

export function compileTestMarks(marks: readonly TestMark[]): IsTest {
  const compiled = marks.map(({ at, is, begins }) => {
    const read = compileSelector(at, "absent");
    return (from: Parameters<typeof read>[0]): boolean => {
      const value = read(from);
      return begins === undefined ? value === is : typeof value === "string" && value.startsWith(begins);
    };
  });
  return ({ headers, payload }) => compiled.some((marks) => marks({ headers, payload, body: "" }));
}

/** The fields that mark a test, in words. */
export function describeTestMarks(marks: readonly TestMark[]): string {
  return marks
    .map(({ at, is, begins }) =>
      begins === undefined ? `${at} is ${String(is)}` : `${at} begins with ${begins}`,
    )
    .join(", or ");
}
