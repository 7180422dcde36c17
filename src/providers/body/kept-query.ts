import type { Delivery } from "../../event.ts";
import { parameterIn, parameterOf } from "./path.ts";
import { isList, type Part, type Selector } from "./selector.ts";

/*
 * What is stored of a delivery has headers and a body, but no URL. So the parameters of the query that an id or
 * a type is read from are kept among the headers, as `query:name`. No header can have such a name.
 */

/** The parameters that these selectors read. */
export function parametersIn(selectors: readonly Selector[]): string[] {
  const names = selectors.flatMap(partsIn).map((part) => parameterOf(part));
  return [...new Set(names)].filter((name) => name !== undefined);
}

function partsIn(selector: Selector): readonly Part[] {
  if (typeof selector === "string") return [selector];
  if (isList(selector)) return selector.flatMap(partsIn);
  return "join" in selector ? selector.join : [];
}

/**
 * Keeps these parameters of each delivery. Undefined if there are none.
 *
 * @param redact replaces secrets in a value
 */
export function createQueryKeeping<D extends Pick<Delivery, "url" | "headers">>(
  names: readonly string[],
  redact: (value: string) => string,
): ((delivery: D) => D) | undefined {
  if (names.length === 0) return undefined;
  return (delivery) => {
    const headers: Record<string, string> = { ...delivery.headers };
    for (const name of names) {
      const value = parameterIn(delivery.url, name);
      if (value !== undefined) headers[`query:${name}`] = redact(value);
    }
    return { ...delivery, headers };
  };
}
