import { run } from "./cli/cli.ts";
import { exitProcess } from "./engines/handler-process.ts";

exitProcess(await run(process.argv.slice(2)));
