/** The log of what is sent on. Never a body, the value of a header or a signature. */
export interface OutboxLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
