import { editorTypesArchive } from "./editor-types-archive.macro.ts" with { type: "macro" };

/** A file of its own, so that only who unpacks it pays for it. */
export const archive: string = editorTypesArchive();
