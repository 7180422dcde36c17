/** The hidden command of the child that tries handlers. */
export const TRY = "try-handlers-and-roll-back";
