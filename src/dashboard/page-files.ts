import { builtPage } from "./page.macro.ts" with { type: "macro" };

/** In a separate file, so that it is loaded, and from source built, with the first request for the page. */
export const pageFiles: string = builtPage();
