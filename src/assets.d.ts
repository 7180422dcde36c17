// Files that are embedded as text with `import … with { type: "text" }`.
declare module "*.sql" {
  const text: string;
  export default text;
}

// A part of pino that has no types.
declare module "pino/browser.js" {
  import pino from "pino";
  export default pino;
}
