/**
 * How many events the statements for several take, the most first. Of 16 or 32 SQLite is no faster. Each keeps what was bound to it last in
 * the connection's quick memory, which has 30 larger pieces: with one for four as well there are none left for what is short-lived, and
 * that costs 3 %.
 */
export const SIZES = [8, 2] as const;
