import { answerOrder } from "./watch-marker.ts";

/** The watchdog's thread, if no other process uses the database. */

declare const self: Worker;

answerOrder(self);
