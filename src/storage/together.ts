/** How many events the statements for several take, the most first. Of 16 or 32 SQLite is no faster. */
export const SIZES = [8, 4, 2] as const;
