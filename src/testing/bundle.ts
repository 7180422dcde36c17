import { builtBundle } from "./bundle.macro.ts" with { type: "macro" };

/** In a separate file, so that it is only loaded, and from source built, by `hookonce test`. */
export const bundle: string = builtBundle();
