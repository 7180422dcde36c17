import { copyBeforeMigration } from "../../../src/engines/sqlite/backup.ts";
import { openDatabase } from "../../../src/engines/sqlite/open.ts";

/** A process that copies a database before a migration. Arguments: the database, the name of the migration. */
const [path, migration] = process.argv.slice(2) as [string, string];
const { connection } = openDatabase(path);
copyBeforeMigration(connection, path, migration, 0);
connection.close(true);
