import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import * as roundTrip from "./sqlite-round-trip.ts";
import * as sqlite from "./sqlite.ts";
import { engineConformance } from "./suite.ts";

engineConformance("SQLite", sqlite.harness);

describeUnless(onlyInFullRun(), "with every call behind a round trip", () => {
  engineConformance("SQLite", roundTrip.harness);
});
