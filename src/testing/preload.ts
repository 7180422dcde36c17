import { handlerModulesOf } from "../app/store.ts";
import { usableSettings } from "../config/usable-settings.ts";
import { supplyModules } from "../handlers/modules.ts";
import * as testing from "./test.ts";

// A test that starts hookonce would get Bun instead.
delete process.env["BUN_BE_BUN"];

/** Runs before the tests of `hookonce test`, so that they find their imports with nothing installed. */
const { database } = usableSettings(process.cwd());
supplyModules({ ...(await handlerModulesOf(database)), "hookonce/test": testing });
