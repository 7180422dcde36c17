/** One line of metrics: a name, its labels and its value. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const SUFFIXES = { counter: [""], gauge: [""], histogram: ["_bucket", "_sum", "_count"] } as const;

/**
 * Reads metrics strictly by the text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/. Throws with the line that breaks it.
 */
export function readExposition(text: string): readonly Series[] {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const all: Series[] = [];
  const families = new Map<string, { help: boolean; type?: keyof typeof SUFFIXES }>();
  const keys = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (!NAME.test(name) || families.has(name)) throw new Error(`HELP: ${line}`);
      families.set(name, { help: true });
      current = name;
    } else if (keyword === "TYPE") {
      const family = families.get(name);
      if (family === undefined || family.type !== undefined || name !== current || !(rest in SUFFIXES))
        throw new Error(`TYPE: ${line}`);
      family.type = rest as keyof typeof SUFFIXES;
    } else {
      const series = sampleOf(line);
      const type = families.get(current)?.type;
      if (type === undefined || !SUFFIXES[type].some((end) => series.name === current + end))
        throw new Error(`not of ${current}: ${line}`);
      const key = JSON.stringify([series.name, sorted(series.labels)]);
      if (keys.has(key)) throw new Error(`twice: ${line}`);
      keys.add(key);
      if (type === "counter" && !(series.value >= 0)) throw new Error(`a counter below 0: ${line}`);
      all.push(series);
    }
  }
  for (const [name, { type }] of families) {
    if (type === undefined) throw new Error(`${name} has no TYPE`);
    if (type === "counter" && !name.endsWith("_total")) throw new Error(`${name} is a counter`);
    if (type === "histogram") checkBuckets(name, all);
  }
  return all;
}

function sampleOf(line: string): Series {
  const [, name = "", , inside = "", number = ""] = /^([^\s{]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inside.length) {
    const [, label = "", value = ""] = LABEL.exec(inside) ?? [];
    if (label === "" || label in labels) throw new Error(`labels: ${line}`);
    labels[label] = value.replaceAll(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
  }
  const value = number === "+Inf" ? Infinity : Number(number);
  if (!NAME.test(name) || number === "" || Number.isNaN(value)) throw new Error(`sample: ${line}`);
  return { name, labels, value };
}

/** Buckets are cumulative and in order, and the last one is the count. */
function checkBuckets(name: string, all: readonly Series[]): void {
  const without = (labels: Series["labels"]): string =>
    JSON.stringify(sorted(labels).filter(([label]) => label !== "le"));
  const counts = all.filter((one) => one.name === `${name}_count`);
  if (counts.length === 0) throw new Error(`${name} has no count`);
  for (const count of counts) {
    const buckets = all.filter(
      (one) => one.name === `${name}_bucket` && without(one.labels) === without(count.labels),
    );
    const bounds = buckets.map(({ labels }) => (labels["le"] === "+Inf" ? Infinity : Number(labels["le"])));
    const values = buckets.map(({ value }) => value);
    if (!isAscending(bounds) || !isAscending(values) || bounds.at(-1) !== Infinity)
      throw new Error(`the buckets of ${name} are not cumulative`);
    if (values.at(-1) !== count.value) throw new Error(`the last bucket of ${name} is not its count`);
  }
}

const isAscending = (list: readonly number[]): boolean =>
  list.every((one, at) => at === 0 || one >= (list[at - 1] as number));

/** The value of the only series with this name and these labels. */
export function valueOf(
  all: readonly Series[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = all.filter(
    (one) => one.name === name && JSON.stringify(sorted(one.labels)) === JSON.stringify(sorted(labels)),
  );
  return found.length === 1 ? found[0]?.value : undefined;
}

const sorted = (labels: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
