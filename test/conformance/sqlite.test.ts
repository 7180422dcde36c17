import { describeUnless, onlyInFullRun } from "../crash/requirements.ts";
import * as roundTrip from "./sqlite-round-trip.ts";
import * as sqlite from "./sqlite.ts";
import { engineConformance, engineEndurance } from "./suite.ts";

const often = onlyInFullRun() === undefined ? { histories: 200, kills: 10 } : { histories: 20, kills: 2 };

engineConformance("SQLite", sqlite.harness);
engineEndurance("SQLite", sqlite.harness, often);

describeUnless(onlyInFullRun(), "with every call behind a round trip", () => {
  engineConformance("SQLite", roundTrip.harness);
  engineEndurance("SQLite", roundTrip.harness, often);
});
