// Files that are embedded as text with `import … with { type: "text" }`.
declare module "*.sql" {
  const text: string;
  export default text;
}
