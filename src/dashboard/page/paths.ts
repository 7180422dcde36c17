/** One step into a payload: a key or an index. */
export type Path = readonly (string | number)[];

const NAME = /^[A-Za-z_$][\w$]*$/;

/** As a SQL handler reads the value: `:payload ->> '$.data.amount'`. */
export function sqlOf(path: Path): string {
  const steps = path.map((step) => {
    if (typeof step === "number") return `[${step}]`;
    return /^[A-Za-z_]\w*$/.test(step) ? `.${step}` : `."${step}"`;
  });
  return `:payload ->> '${`$${steps.join("")}`.replaceAll("'", "''")}'`;
}

/** As a TypeScript handler reads the value: `event.payload.data.amount`. */
export function typeScriptOf(path: Path): string {
  const steps = path.map((step) =>
    typeof step === "string" && NAME.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`,
  );
  return `event.payload${steps.join("")}`;
}

/** As a config names the value: `body:$.data.amount`. */
export function bodyPathOf(path: Path): string {
  const steps = path.map((step) => {
    if (typeof step === "number") return `[${step}]`;
    if (/^[\w$-]+$/.test(step)) return `.${step}`;
    return step.includes("'") ? `["${step}"]` : `['${step}']`;
  });
  return `body:$${steps.join("")}`;
}

/** Keys whose values are often about a person. */
const PERSONAL =
  /e?mail|phone|(?:^|_)(?:first|last|full|sur|given|family|user|nick|display)?_?name$|address|^line[12]$|^city$|postal|zip|(?:^|_)ip(?:_|$)|birth|iban|card|last4|passport|tax_id|secret|token/i;

/** Paths of plain values that are probably about a person, at most a hundred. */
export function personalPaths(payload: unknown): Path[] {
  const found: Path[] = [];
  const look = (value: unknown, path: Path, isPersonal: boolean): void => {
    if (found.length >= 100 || path.length > 20 || value === null) return;
    if (typeof value !== "object") {
      if (isPersonal && value !== "" && typeof value !== "boolean") found.push(path);
      return;
    }
    const entries = Array.isArray(value) ? value.map((one, at) => [at, one] as const) : Object.entries(value);
    for (const [key, one] of entries)
      look(one, [...path, key], isPersonal || (typeof key === "string" && PERSONAL.test(key)));
  };
  look(payload, [], false);
  return found;
}

/** Where a handler for a type belongs. */
export function handlerFile(source: string, type: string): string {
  const key = type.replace(/^\//, "_").replaceAll(/[^A-Za-z0-9._/-]/gu, "_");
  return `handlers/${source}/${key === "" ? "_any" : key}.sql`;
}

/** A first handler for a type, which reads values that the payload really has. */
export function starterOf(source: string, type: string, payload: unknown): { file: string; text: string } {
  const file = handlerFile(source, type);
  const found = scalarPaths(payload).slice(0, 3);
  const columns = ["event_id", ...found.map((path) => columnOf(path))];
  const values = [":event_id", ...found.map((path) => sqlOf(path))];
  return {
    file,
    text: `insert into my_table (${columns.join(", ")})\nvalues (${values.join(",\n        ")});\n`,
  };
}

const columnOf = (path: Path): string => String(path.at(-1)).toLowerCase().replaceAll(/\W+/g, "_");

/** Paths of plain values, of `data.object` first: that is where most providers have what matters. */
function scalarPaths(payload: unknown): Path[] {
  const found: Path[] = [];
  const names = new Set<string>(["event_id"]);
  const look = (value: unknown, path: Path): void => {
    if (value === null || typeof value !== "object" || Array.isArray(value) || path.length > 4) return;
    for (const [key, one] of Object.entries(value)) {
      const step = [...path, key];
      const name = columnOf(step);
      if (["string", "number", "boolean"].includes(typeof one) && NAME.test(key) && !names.has(name)) {
        names.add(name);
        found.push(step);
      }
    }
    for (const [key, one] of Object.entries(value)) if (NAME.test(key)) look(one, [...path, key]);
  };
  const inner = (payload as { data?: { object?: unknown } } | null)?.data?.object;
  if (inner !== undefined) look(inner, ["data", "object"]);
  else look(payload, []);
  return found;
}
