import { fsync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetchFound, lookUpHost } from "../../src/providers/host-lookup.ts";

// Runs as root in its own mount namespace, with /etc/resolv.conf and /etc/hosts of a test. Prints a line of JSON.

const [folder = "", silent = "", answering = ""] = process.argv.slice(2);
const descriptor = openSync(join(folder, "log"), "w");

await dnsServer(silent, () => undefined);
await dnsServer(answering, (name) => ZONE[name] ?? []);
const ZONE: Readonly<Record<string, readonly number[][]>> = {
  "app.compose.internal": [
    [10, 1, 2, 3],
    [10, 1, 2, 4],
  ],
};

useServer(answering);
const found = {
  search: await addressesOf("app"),
  hosts: await addressesOf("myhost"),
  ipv6: await addressesOf("sixhost"),
  localhost: (await addressesOf("localhost")).includes("127.0.0.1"),
  unknown: await lookUpHost("nobody.example").catch(({ code }: { code: string }) => code),
};

// The file changes while the process runs.
useServer(silent);
let ended = 0;
const lookups = Array.from({ length: 8 }, (_, index) => lookUpHost(`dead${index}.example`));
const fetches = Array.from({ length: 8 }, (_, index) =>
  fetchFound(`http://dead${index + 8}.example/`, { signal: AbortSignal.timeout(4000) }),
);
for (const one of [...lookups, ...fetches]) void one.catch(() => {}).then(() => ended++);
// So that each has begun.
await Bun.sleep(100);
await new Promise((resolve) => fsync(descriptor, resolve));
const endedBeforeTheSync = ended;
useServer(answering);
const back = await addressesOf("app");
console.log(JSON.stringify({ ...found, endedBeforeTheSync, back }));
process.exit(0);

function useServer(address: string): void {
  writeFileSync("/etc/resolv.conf", `search compose.internal\nnameserver ${address}\n`);
}

async function addressesOf(host: string): Promise<string[]> {
  return (await lookUpHost(host)).map(({ address }) => address);
}

/** Answers questions for IPv4 addresses, if it answers at all. RFC 1035, 4.1 */
async function dnsServer(
  hostname: string,
  answer: (name: string) => readonly number[][] | undefined,
): Promise<void> {
  await Bun.udpSocket({
    hostname,
    port: 53,
    socket: {
      data(server, query, port, from) {
        let end = 12;
        const labels: string[] = [];
        for (let size = query[end] ?? 0; size > 0; size = query[end] ?? 0) {
          labels.push(query.subarray(end + 1, end + 1 + size).toString());
          end += size + 1;
        }
        const addresses = answer(labels.join("."));
        if (addresses === undefined) return;
        const records = query.readUInt16BE(end + 1) === 1 ? addresses : [];
        const head = Buffer.from(query.subarray(0, 12));
        head.writeUInt16BE(0x8180 | (addresses.length === 0 ? 3 : 0), 2);
        head.writeUInt16BE(records.length, 6);
        head.writeUInt32BE(0, 8);
        const lines = records.map((bytes) =>
          Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...bytes]),
        );
        server.send(Buffer.concat([head, query.subarray(12, end + 5), ...lines]), port, from);
      },
    },
  });
}
