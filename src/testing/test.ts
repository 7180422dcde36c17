/** The exports of "hookonce/test". Their types for users are in templates/types/test.d.ts. */

export { fixtures } from "./fixtures.ts";
export { testInbox } from "./test-inbox.ts";
