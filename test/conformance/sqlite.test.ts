import { harness } from "./sqlite.ts";
import { engineConformance } from "./suite.ts";

engineConformance("SQLite", harness);
