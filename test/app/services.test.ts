import { expect, test } from "bun:test";
import { messageOf } from "../../src/errors.ts";
import { createServices } from "../../src/app/services.ts";

/** Services that note what happens to them. */
function noting() {
  const notes: string[] = [];
  const service = (name: string, stop: () => Promise<void> = () => Promise.resolve()) => ({
    name,
    async stop() {
      notes.push(`${name} stops`);
      await stop();
      notes.push(`${name} has stopped`);
    },
  });
  return { notes, service };
}

test("services stop in reverse order, each after the later ones have stopped", async () => {
  const { notes, service } = noting();
  const services = createServices();
  await services.start(() => service("database"));
  await services.start(() => service("http", () => Bun.sleep(5)));
  await services.stop();
  expect(notes).toEqual(["http stops", "http has stopped", "database stops", "database has stopped"]);
});

test("a service that fails to stop does not keep the others running, and its error is thrown", async () => {
  const { notes, service } = noting();
  const services = createServices();
  await services.start(() => service("database"));
  await services.start(() => service("http", () => Promise.reject(new Error("stuck"))));
  expect(await services.stop().catch(messageOf)).toBe("stuck");
  expect(notes).toEqual(["http stops", "database stops", "database has stopped"]);
});

test("a second stop waits for the first and stops nothing twice", async () => {
  const { notes, service } = noting();
  const services = createServices();
  await services.start(() => service("http", () => Bun.sleep(5)));
  await Promise.all([services.stop(), services.stop()]);
  expect(notes).toEqual(["http stops", "http has stopped"]);
});

test("a service that does not start is not stopped, and the ones before it still run", async () => {
  const { notes, service } = noting();
  const services = createServices();
  await services.start(() => service("database"));
  const refused = services.start(() => Promise.reject(new Error("the port is taken")));
  expect(await refused.catch(messageOf)).toBe("the port is taken");
  expect(notes).toEqual([]);
  await services.stop();
  expect(notes).toEqual(["database stops", "database has stopped"]);
});
