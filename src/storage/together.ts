/**
 * How many events the statements for several take. Of 16 with random ids SQLite puts more pages aside, in case the statement fails, than
 * one statement less would save.
 */
export const TOGETHER = 8;
