import { expect, test } from "bun:test";
import { refusedStart } from "../support/test-inbox.ts";

const inbox = (alerts: string): string => `
${alerts}
[sources.default]
provider = "unsigned"
event_id = "body:$.event_id"
type = "body:$.type"
[destinations.app]
url = "http://127.0.0.1:3000/"
[destinations.ops]
url = "http://127.0.0.1:3000/"
sign = "none"
[destinations.tell]
command = ["/bin/true"]
`;

test.each([
  ['[alerts]\nto = "opps"', 'alerts.to: there is no destination "opps"; did you mean ops?'],
  [
    '[alerts]\nto = "elsewhere"',
    'alerts.to: there is no destination "elsewhere"; add it, as in [destinations.elsewhere] with url = "https://…" or command = ["./…"]',
  ],
  [
    '[alerts]\nto = "app"',
    'alerts.to: the messages to "app" are signed as their provider signs, and an alert has no provider: write sign = "standard-webhooks" or sign = "none" in [destinations.app], or name another destination',
  ],
  [
    "[alerts]",
    'alerts.to is missing: write the name of a destination, as in to = "ops" with [destinations.ops]',
  ],
  [
    "[alerts]\nto = 3",
    'alerts.to is not a text: write the name of a destination, as in to = "ops" with [destinations.ops]',
  ],
  ['[alerts]\nto = "ops"\nevery = "5m"', "alerts.every is not a key; choose from to"],
])("a start with %j says what to do", async (alerts, message) => {
  const { problems } = await refusedStart({ config: inbox(alerts) });
  expect(problems?.map((one) => one.message)).toEqual([message]);
  expect(problems?.[0]?.line).toBeNumber();
});
