// Run by fsync-shim.test.ts under the shim: commits rows one by one, prints how many, and dies without
// closing the database.
import { Database } from "bun:sqlite";
import { writeSync } from "node:fs";

const [, , path, synchronous, count] = process.argv;
const database = new Database(path, { create: true });
database.run("pragma journal_mode = wal");
database.run(`pragma synchronous = ${synchronous}`);
database.run("create table rows (id integer primary key, bytes blob) strict");
// A row takes four pages, so 300 rows exceed the 1,000 pages at which SQLite checkpoints.
const insert = database.prepare("insert into rows (bytes) values (randomblob(12000))");
for (let n = 0; n < Number(count); n++) insert.run();
writeSync(1, `committed ${count}\n`);
process.kill(process.pid, "SIGKILL");
