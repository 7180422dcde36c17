// Moves an inbox, and writes a line after each page. The test kills it.
import type { PostgresTarget } from "../../src/config/postgres.ts";
import { openMoveIn } from "../../src/engines/postgres/open-move-in.ts";
import { openMoveOut } from "../../src/engines/sqlite/move-out.ts";

const [, , database = "", target = ""] = process.argv;
const from = openMoveOut(database);
const into = await openMoveIn(JSON.parse(target) as PostgresTarget, 1);
console.log("open");
const { cursor, isDone } = await into.begin(from.begin("postgres://app@db/shop", 1).move);
console.log("begun");
if (!isDone) {
  for (let page = from.page(cursor); page !== undefined; page = from.page(page.cursor)) {
    await into.write(page);
    console.log(page.table.name);
  }
  await into.finish(from.totals());
}
console.log("done");
await into.close();
from.close();
