/** @returns the steps of a path, or undefined when it is none */
export function parsePath(path: string): (string | number)[] | undefined {
  if (!path.startsWith("$")) return undefined;
  const step =
    /\.(?<name>[\p{L}\p{N}_$-]+)|\[(?<index>\d+)\]|\['(?<single>[^']*)'\]|\["(?<double>[^"]*)"\]/uy;
  step.lastIndex = 1;
  const steps: (string | number)[] = [];
  while (step.lastIndex < path.length) {
    const found = step.exec(path)?.groups;
    if (found === undefined) return undefined;
    const name = found["name"] ?? found["single"] ?? found["double"];
    steps.push(name ?? Number(found["index"]));
  }
  return steps;
}
