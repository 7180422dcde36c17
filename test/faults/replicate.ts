import { Database } from "bun:sqlite";

/**
 * Uses a database as Litestream does: it keeps a read transaction open, so that nobody else restarts the log. In
 * between, it moves the log into the database itself, in each way in turn, and writes a row into its own table.
 * https://litestream.io/how-it-works/
 */

const [path = ""] = process.argv.slice(2);
const reader = new Database(path, { readwrite: true, create: false, strict: true });
const writer = new Database(path, { readwrite: true, create: false, strict: true });
for (const connection of [reader, writer]) {
  connection.run("pragma busy_timeout = 5000");
  connection.run("pragma wal_autocheckpoint = 0");
}
writer.run("create table if not exists _litestream_seq (id integer primary key, seq integer)");
for (let round = 0; ; round++) {
  reader.run("begin");
  reader.query("select count(*) from _litestream_seq").values();
  await Bun.sleep(150);
  reader.run("rollback");
  const how = ["passive", "restart", "truncate"][round % 3] ?? "";
  const [busy] = writer.query(`pragma wal_checkpoint(${how})`).values()[0] as [number];
  writer.run(
    "insert into _litestream_seq (id, seq) values (1, 1) on conflict (id) do update set seq = seq + 1",
  );
  console.log(`${how} ${busy === 0 ? "done" : "busy"}`);
}
