import { run } from "./cli/cli.ts";

process.exit(await run(process.argv.slice(2)));
