import { editorTypesArchive } from "./editor-types-archive.macro.ts" with { type: "macro" };

/** In a separate file, so that it is only loaded when it is unpacked. */
export const archive: string = editorTypesArchive("sqlite");
