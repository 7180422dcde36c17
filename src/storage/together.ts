/**
 * How many events the statements for several take, the most first. Of 16 with random ids SQLite puts more pages aside, in case the statement
 * fails, than one statement less would save.
 */
export const SIZES = [8, 4, 2] as const;
