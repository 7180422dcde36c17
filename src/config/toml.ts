import { getStaticTOMLValue, ParseError, parseTOML, type AST } from "toml-eslint-parser";
import { inPlainWords } from "./toml-words.ts";

/** A TOML document that knows the lines of its keys. */
export interface TomlDocument {
  readonly value: unknown;
  /** The line of a key, counted from 1. If it is missing, the line of the nearest table around it. */
  lineOf(path: readonly PropertyKey[]): number | undefined;
}

export class TomlError extends Error {
  constructor(
    message: string,
    readonly line: number,
  ) {
    super(message);
  }
}

/** @throws TomlError */
export function readToml(text: string): TomlDocument {
  let ast: AST.TOMLProgram;
  try {
    ast = parseTOML(text);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const { message, line } = inPlainWords(text, { message: error.message, line: error.lineNumber });
    throw new TomlError(message, line);
  }
  const lines = new Map<string, number>();
  const note = (path: readonly PropertyKey[], line: number): void => {
    // A dotted key or a table header is also the place of the tables around it.
    for (let length = path.length; length > 0; length--) {
      const key = path.slice(0, length).join("\0");
      if (!lines.has(key)) lines.set(key, line);
    }
  };
  const noteKeyValues = (under: readonly PropertyKey[], body: readonly AST.TOMLKeyValue[]): void => {
    for (const pair of body) {
      const path = [
        ...under,
        ...pair.key.keys.map((key) => (key.type === "TOMLBare" ? key.name : key.value)),
      ];
      note(path, pair.loc.start.line);
      noteTables(path, pair.value);
    }
  };
  const noteTables = (path: readonly PropertyKey[], value: AST.TOMLContentNode): void => {
    if (value.type === "TOMLInlineTable") noteKeyValues(path, value.body);
    if (value.type !== "TOMLArray") return;
    for (const [index, element] of value.elements.entries()) {
      note([...path, index], element.loc.start.line);
      noteTables([...path, index], element);
    }
  };
  for (const node of ast.body[0].body) {
    if (node.type === "TOMLKeyValue") noteKeyValues([], [node]);
    else {
      note(node.resolvedKey, node.loc.start.line);
      noteKeyValues(node.resolvedKey, node.body);
    }
  }
  return {
    value: getStaticTOMLValue(ast),
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(path.slice(0, length).join("\0"));
        if (line !== undefined) return line;
      }
      return undefined;
    },
  };
}
