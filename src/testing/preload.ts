import { store } from "../app/store.ts";
import { supplyModules } from "../handlers/modules.ts";
import * as testing from "./test.ts";

// A test that starts hookonce would get Bun instead.
delete process.env["BUN_BE_BUN"];

/** Runs before the tests of `hookonce test`, so that they find their imports with nothing installed. */
supplyModules({ ...(await store.handlerModules()), "hookonce/test": testing });
