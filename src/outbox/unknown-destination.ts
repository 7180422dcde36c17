import { HookonceError } from "../errors.ts";

export function unknownDestination(name: string, known: readonly string[]): HookonceError {
  const remedy =
    known.length === 0
      ? `Add [destinations.${name}] to hookonce.toml.`
      : `hookonce.toml has ${known.join(", ")}.`;
  return new HookonceError("unknown_destination", `There is no destination "${name}". ${remedy}`);
}
