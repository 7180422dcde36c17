/**
 * Attacks a server until it is killed: bun attackers.ts URL. Every 5 s it writes one line of JSON with what it
 * has sent. It is a process of its own, so that its work does not delay the client that is measured.
 */
import { gzipSync } from "node:zlib";
import { requestHead } from "../server/support/raw-client.ts";

const url = process.argv[2] ?? "";
const { hostname, port } = new URL(url);

const counts = { idle: 0, reopened: 0, bombs: 0, large: 0, statuses: {} as Record<string, number> };

const IDLE = 5000;
const FORM = "application/x-www-form-urlencoded";

const declared = (bytes: number): string =>
  requestHead("/webhook/stripe", { "content-length": bytes, "stripe-signature": "t=1,v1=00" });

/** What idle connections have sent. */
const idleKinds: readonly (string | Buffer)[] = [
  "",
  "POST /webhook/stripe HTTP/1.1\r\nhost: loc",
  declared(65_536),
  `${declared(1000)}{"id":`,
  Buffer.concat([Buffer.from(declared(65_536)), Buffer.alloc(65_535, "x")]),
];

/** Opens a connection that sends its part and waits, and another one when it is closed. */
async function keepIdle(kind: string | Buffer): Promise<void> {
  for (;;) {
    const closed = Promise.withResolvers<void>();
    try {
      await Bun.connect({
        hostname,
        port: Number(port),
        socket: {
          open(socket) {
            counts.idle++;
            if (kind.length > 0) socket.write(kind);
          },
          data() {},
          close() {
            counts.idle--;
            closed.resolve();
          },
          error() {},
        },
      });
      await closed.promise;
      counts.reopened++;
    } catch {
      await Bun.sleep(1000);
    }
  }
}

async function post(source: string, headers: Record<string, string>, body: Uint8Array): Promise<void> {
  let answer = "closed";
  try {
    const response = await fetch(`${url}/webhook/${source}`, { method: "POST", headers, body });
    await response.arrayBuffer();
    answer = String(response.status);
  } catch {
    // The server may close the connection of a body that it does not read.
  }
  const key = `${source} ${answer}`;
  counts.statuses[key] = (counts.statuses[key] ?? 0) + 1;
}

const fill = (piece: (n: number) => string, separator: string): string =>
  Array.from({ length: 40_000 }, (_, n) => piece(n)).join(separator);

/** Each is at most 1 MiB. */
const bombs: readonly { type: string; body: Buffer; gzip: boolean }[] = [
  { type: FORM, body: Buffer.from("a&".repeat(100_000)), gzip: true },
  { type: FORM, body: Buffer.from("a&".repeat(500_000)), gzip: false },
  { type: FORM, body: Buffer.from(`data=${"%41b".repeat(250_000)}`), gzip: false },
  { type: "application/json", body: Buffer.from(`[${"1,".repeat(500_000)}1]`), gzip: false },
  { type: "application/json", body: Buffer.from(`[${"1,".repeat(500_000)}1]`), gzip: true },
  { type: "application/json", body: Buffer.from(`{${fill((n) => `"k${n}":1.0`, ",")}}`), gzip: false },
  { type: "application/json", body: Buffer.from(fill(() => "[".repeat(12), "")), gzip: false },
];

const bombed = ["ko-fi", "figma", "aws-sns", "mailgun", "adyen", "notion", "woocommerce"];

async function throwBombs(first: number): Promise<void> {
  for (let n = first; ; n++) {
    const { type, body, gzip } = bombs[n % bombs.length] as (typeof bombs)[number];
    await post(
      // Another source each round, so that every source gets every bomb.
      bombed[(n + Math.floor(n / bombs.length)) % bombed.length] as string,
      { "content-type": type, ...(gzip ? { "content-encoding": "gzip" } : {}) },
      gzip ? gzipSync(body) : body,
    );
    counts.bombs++;
  }
}

const large = Buffer.alloc(25_000_000, "x");

async function sendLarge(): Promise<void> {
  for (;;) {
    await post("github", { "x-hub-signature-256": `sha256=${"0".repeat(64)}` }, large);
    counts.large++;
  }
}

for (let n = 0; n < IDLE; n++) {
  void keepIdle(idleKinds[n % idleKinds.length] as string | Buffer);
  if (n % 100 === 99) await Bun.sleep(20);
}
for (let n = 0; n < 4; n++) void throwBombs(n * 3);
for (let n = 0; n < 12; n++) void sendLarge();
setInterval(() => console.log(JSON.stringify(counts)), 5000);
