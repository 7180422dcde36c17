/** The whole transaction is gone, and with it every event that shared it. */
export class TransactionLost extends Error {
  constructor(override readonly cause: unknown) {
    super("the transaction was ended from inside");
  }
}
