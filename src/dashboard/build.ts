import { join } from "node:path";

/**
 * Bundles the page and writes its files to standard output, as JSON. page.macro.ts runs it, so a program that
 * is started from source always has the page of its source, and a binary has it embedded.
 */

/** A file of the page. `gzip` is base64. */
export interface BuiltFile {
  readonly path: string;
  readonly type: string;
  readonly gzip: string;
  readonly immutable: boolean;
}

const folder = join(import.meta.dir, "page");

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#2f5bd3"/><path d="M9 17l5 5 9-12" fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

export async function buildPage(): Promise<readonly BuiltFile[]> {
  const { outputs } = await Bun.build({
    entrypoints: [join(folder, "main.tsx"), join(folder, "style.css")],
    target: "browser",
    minify: true,
    splitting: true,
    define: { "process.env.NODE_ENV": '"production"' },
    naming: { entry: "assets/[name]-[hash].[ext]", chunk: "assets/[name]-[hash].[ext]" },
  });
  const assets: { path: string; bytes: Uint8Array<ArrayBuffer> }[] = [];
  for (const one of outputs)
    assets.push({ path: one.path.replace(/^\.?\/?/, "/"), bytes: new Uint8Array(await one.arrayBuffer()) });
  const icon = new TextEncoder().encode(ICON);
  assets.push({ path: `/assets/icon-${Bun.hash(icon).toString(36)}.svg`, bytes: icon });
  const index = new TextEncoder().encode(indexOf(assets.map(({ path }) => path)));
  return [
    fileOf("/", "text/html; charset=utf-8", index, false),
    ...assets.map(({ path, bytes }) =>
      fileOf(path, TYPES[path.slice(path.lastIndexOf(".") + 1)] as string, bytes, true),
    ),
  ];
}

function fileOf(path: string, type: string, bytes: Uint8Array<ArrayBuffer>, immutable: boolean): BuiltFile {
  return { path, type, gzip: Bun.gzipSync(bytes, { level: 9 }).toBase64(), immutable };
}

function indexOf(paths: readonly string[]): string {
  const asset = (pattern: RegExp): string => {
    const path = paths.find((one) => pattern.test(one));
    if (path === undefined) throw new Error(`The page has no file ${pattern.source}: ${paths.join(", ")}`);
    return path;
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>hookonce</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="${asset(/icon-.*\.svg$/)}">
<link rel="stylesheet" href="${asset(/style-.*\.css$/)}">
<script type="module" src="${asset(/main-.*\.js$/)}"></script>
</head>
<body>
<div id="page"><div class="first-paint" aria-hidden="true"><span class="logo">hookonce</span></div></div>
<noscript>This page needs JavaScript. The same is in a terminal: hookonce status</noscript>
</body>
</html>
`;
}

if (import.meta.main) console.log(JSON.stringify(await buildPage()));
