import { describe, expect, test } from "bun:test";
import { gunzipSync, gzipSync } from "node:zlib";
import type { SourceSettings } from "../../src/providers/source.ts";
import { randomKeys, sign } from "../../src/providers/verifier.ts";
import { URL_OF_IT } from "./preset-samples.ts";
import {
  arriving,
  deliver,
  deliverOne,
  DESTINATION,
  json,
  reason,
  receivedBy,
  refusal,
  sendingFor,
  sendOn,
  textOf,
  TWO_DAYS_LATER,
  valueOf,
  type Sending,
} from "./sent-on.ts";
import { NOW } from "./signed-inbox.ts";

function withScheme(name: string, change: object): Sending {
  const { signer, settings } = sendingFor(name);
  return { signer, settings: { ...settings, scheme: { ...signer.provider.scheme, ...change } } };
}

const item = (n: number): unknown => ({
  NotificationRequestItem: {
    eventCode: "AUTHORISATION",
    pspReference: `psp-${n}`,
    merchantAccountCode: "shop",
    merchantReference: `order-${n}`,
    amount: { value: 12345678901234 + n, currency: "EUR" },
    success: "true",
    additionalData: {},
  },
});

const messages = (ids: readonly string[], more: object = {}): unknown => ({
  field: "messages",
  value: { metadata: { phone_number_id: "7" }, messages: ids.map((id) => ({ id, type: "text" })), ...more },
});

const whole = (entry: unknown): unknown => ({ object: "whatsapp_business_account", entry: [entry] });

describe("an event of a batch is sent on as a batch of one", () => {
  test("with what encloses it, and its content type", async () => {
    const adyen = sendingFor("adyen");
    const messages = await deliver(adyen, json({ live: "false", notificationItems: [item(1), item(2)] }));
    expect(messages.map(({ eventId }) => eventId)).toEqual([
      "AUTHORISATION:psp-1:true",
      "AUTHORISATION:psp-2:true",
    ]);
    for (const [index, message] of messages.entries()) {
      const request = await sendOn(adyen.settings, message);
      expect(request.headers["content-type"]).toBe("application/json");
      expect(valueOf(request)).toMatchObject({
        live: "false",
        notificationItems: [
          {
            NotificationRequestItem: {
              pspReference: `psp-${index + 1}`,
              amount: { value: 12345678901235 + index },
            },
          },
        ],
      });
      expect((await arriving(adyen, request)).map(({ eventId }) => eventId)).toEqual([message.eventId]);
    }
  });

  test("with every list on the way cut down to it", async () => {
    const meta = sendingFor("meta");
    const status = { id: "s1", status: "read" };
    const sent = await deliver(
      meta,
      json({
        object: "whatsapp_business_account",
        entry: [
          { id: "1", changes: [messages(["a", "b"]), messages(["c"], { statuses: [status] })] },
          { id: "2", messaging: [{ message: { mid: "d" } }] },
        ],
      }),
    );
    const bodies = [];
    for (const message of sent) {
      const request = await sendOn(meta.settings, message);
      expect((await arriving(meta, request)).map(({ eventId }) => eventId)).toEqual([message.eventId]);
      bodies.push(valueOf(request));
    }
    const statuses = { field: "messages", value: { metadata: { phone_number_id: "7" }, statuses: [status] } };
    expect(bodies).toEqual([
      whole({ id: "1", changes: [messages(["a"])] }),
      whole({ id: "1", changes: [messages(["b"])] }),
      whole({ id: "1", changes: [messages(["c"])] }),
      whole({ id: "1", changes: [statuses] }),
      whole({ id: "2", messaging: [{ message: { mid: "d" } }] }),
    ]);
  });

  test("in its own list, if it was stored without the others because it had failed", async () => {
    const adyen = sendingFor("adyen");
    const hubspot = sendingFor("hubspot");
    const [, second] = await deliver(adyen, json({ live: "false", notificationItems: [item(1), item(2)] }));
    const [first] = await deliver(
      hubspot,
      json([{ eventId: 1, subscriptionId: 2, objectId: 3, occurredAt: 4 }, {}]),
    );
    for (const [sending, message] of [
      [adyen, second],
      [hubspot, first],
    ] as const) {
      if (message === undefined) throw new Error("no event");
      const alone = { ...message, body: Buffer.from(message.payloadJson ?? "") };
      const request = await sendOn(sending.settings, alone);
      expect((await arriving(sending, request)).map(({ eventId }) => eventId)).toEqual([message.eventId]);
    }
  });

  test("without compression, whose headers then say so", async () => {
    const grafana = sendingFor("grafana");
    const alerts = ["a", "b"].map((fingerprint) => ({
      status: "firing",
      startsAt: "2026-09-21T14:13:20Z",
      fingerprint,
    }));
    const body = gzipSync(json({ title: "two alerts", alerts }));
    const [, second] = await deliver(grafana, body, { "content-encoding": "gzip" });
    if (second === undefined) throw new Error("no event");
    for (const stored of [second, { ...second, body: Buffer.from(second.payloadJson ?? "") }]) {
      const request = await sendOn(grafana.settings, stored);
      expect(request.headers).not.toHaveProperty("content-encoding");
      expect(valueOf(request)).toMatchObject({ alerts: [{ fingerprint: "b" }] });
      expect(await arriving(grafana, request)).toHaveLength(1);
    }
  });

  test("byte for byte, if the delivery has no other event", async () => {
    const hubspot = sendingFor("hubspot");
    const body = Buffer.from('[ {"eventId": 1, "subscriptionId": 2,"objectId": 3, "occurredAt":4.0} ]\n');
    const request = await sendOn(hubspot.settings, await deliverOne(hubspot, body));
    expect(Buffer.compare(Buffer.from(request.body), body)).toBe(0);
    expect(await arriving(hubspot, request)).toHaveLength(1);
  });

  test("and never with the others, if the source's batch has changed", async () => {
    const grafana = sendingFor("grafana");
    const [first] = await deliver(grafana, json({ alerts: [{ status: "a" }, { status: "b" }] }));
    if (first === undefined) throw new Error("no event");
    const settings = { ...grafana.settings, batch: ["body:$.events[*]"] };
    expect(valueOf(await sendOn(settings, first))).toEqual({ events: [{ status: "a" }] });
    const lost = sendOn(settings, { ...first, payloadJson: null });
    expect(await refusal(lost)).toBe("stored_event_unreadable");
  });
});

describe("while a secret is replaced", () => {
  const event = json({ id: "evt_1", type: "thing" });

  test.each(["stripe", "svix", "standard-webhooks", "mollie", "docusign"])(
    "%s gets a signature for each secret, the newest first",
    async (name) => {
      const sending = sendingFor(name);
      const [current] = sending.settings.secrets;
      const old = randomKeys(sending.signer.provider.scheme).secret;
      const settings = { ...sending.settings, secrets: [current ?? "", old] };
      const message = await deliverOne(sending, event, { "svix-id": "msg_1", "webhook-id": "msg_1" });
      const request = await sendOn(settings, message);
      for (const secret of settings.secrets)
        expect(await arriving(sending, request, [secret])).toHaveLength(1);
      const foreign = randomKeys(sending.signer.provider.scheme).secret;
      expect(await refusal(arriving(sending, request, [foreign]))).toBe("signature_mismatch");
    },
  );

  test("others get the newest secret's", async () => {
    const github = sendingFor("github");
    const settings = { ...github.settings, secrets: ["new", ...github.settings.secrets] };
    const request = await sendOn(settings, await deliverOne(github, event, { "x-github-delivery": "1" }));
    expect(await arriving(github, request, ["new"])).toHaveLength(1);
    expect(await refusal(arriving(github, request))).toBe("signature_mismatch");
  });

  test("signatures of secrets that are gone are not sent on", async () => {
    const docusign = sendingFor("docusign");
    const message = await deliverOne(docusign, event, { "x-docusign-signature-2": "another key's" });
    const request = await sendOn(docusign.settings, message);
    const names = Object.keys(request.headers).filter((name) => name.startsWith("x-docusign-signature"));
    expect(names).toEqual(["x-docusign-signature-1"]);
  });
});

describe("bodies", () => {
  const form = { "content-type": "application/x-www-form-urlencoded" };

  test("a form keeps its bytes", async () => {
    const github = sendingFor("github");
    const body = Buffer.from('payload=%7b"zen"%3A+"caf%C3%A9"%7d');
    const message = await deliverOne(github, body, { ...form, "x-github-delivery": "1" });
    const request = await sendOn(github.settings, message);
    expect(textOf(request)).toBe(body.toString());
    expect(request.headers["content-type"]).toBe(form["content-type"]);
    expect(await arriving(github, request)).toHaveLength(1);
  });

  test("a compressed body keeps its bytes if the signature is in a header", async () => {
    const event = json({ id: "evt_1", type: "thing" });
    for (const over of ["raw", "decompressed"]) {
      const stripe = withScheme("stripe", { over });
      const message = await deliverOne(stripe, gzipSync(event), { "content-encoding": "gzip" });
      const request = await sendOn(stripe.settings, message);
      expect(request.headers["content-encoding"]).toBe("gzip");
      expect(Buffer.compare(gunzipSync(request.body), event)).toBe(0);
      expect(await arriving(stripe, request)).toHaveLength(1);
    }
  });

  test.each(["mailgun", "figma"])("%s: a signature in a compressed body can be read", async (name) => {
    const sending = sendingFor(name);
    const plain = { "event-data": { id: "1", event: "opened", big: 12345678901234567890n.toString() }, n: 1 };
    const signed = await sign(
      sending.signer.provider,
      { method: "POST", url: URL_OF_IT, headers: { "content-type": "application/json" }, body: json(plain) },
      sending.signer.keys,
      NOW,
    );
    const headers = { ...signed.headers, "content-encoding": "gzip" };
    const compressed = { ...signed, headers, body: gzipSync(signed.body) };
    const [message] = await receivedBy(sending.settings, compressed, NOW, sending.signer.fetch);
    if (message === undefined) throw new Error("no event");
    const request = await sendOn(sending.settings, message);
    expect(request.headers).not.toHaveProperty("content-encoding");
    expect(await arriving(sending, request)).toHaveLength(1);
  });

  test("numbers keep their digits in a body that is signed inside", async () => {
    const figma = sendingFor("figma");
    const message = await deliverOne(figma, Buffer.from('{"id":12345678901234567890,"price":1.50,"n":1e3}'));
    const request = await sendOn(figma.settings, message);
    expect(textOf(request)).toStartWith('{"id":12345678901234567890,"price":1.50,"n":1e3,"passcode":');
  });
});

describe("a secret that is sent is put back in its place", () => {
  const secretless = [
    "flutterwave-v3",
    "postmark",
    "telegram",
    "strava",
    "jira-data-center",
    "ko-fi",
    "figma",
  ];

  test.each(secretless)("%s", async (name) => {
    const sending = sendingFor(name);
    const { scheme } = sending.signer.provider;
    const isForm = name === "ko-fi";
    const event = { message_id: "1", update_id: 1, ID: 1 };
    const body = isForm
      ? Buffer.from(new URLSearchParams({ data: JSON.stringify(event) }).toString())
      : json(event);
    const type = isForm ? "application/x-www-form-urlencoded" : "application/json";
    const [secret = ""] = sending.settings.secrets;
    const message = await deliverOne(sending, body, {
      "content-type": type,
      "x-original-uri": `/webhook/it?token=${secret}`,
      cookie: "session=1",
      referer: `https://proxy.example.test/?${secret}`,
    });
    expect(JSON.stringify({ ...message, body: textOf(message) })).not.toContain(secret);
    const request = await sendOn(sending.settings, message);
    expect(await arriving(sending, request)).toHaveLength(1);
    expect(`${request.url} ${JSON.stringify(request.headers)} ${textOf(request)}`).not.toContain("redacted");
    expect(request.headers).not.toHaveProperty("cookie");
    if (scheme.kind !== "static") throw new Error("not a static secret");
    if (scheme.secretIn.startsWith("query:")) expect(request.url).toStartWith(`${DESTINATION}?`);
    else expect(request.url).toBe(DESTINATION);
  });

  test("the newest one", async () => {
    const telegram = sendingFor("telegram");
    const settings = { ...telegram.settings, secrets: ["new", ...telegram.settings.secrets] };
    const request = await sendOn(settings, await deliverOne(telegram, json({ update_id: 1 })));
    expect(request.headers["x-telegram-bot-api-secret-token"]).toBe("new");
  });
});

describe("a signature over the URL is over the destination's", () => {
  test.each([
    ["twilio", "application/x-www-form-urlencoded", Buffer.from("MessageSid=SM1&Body=caf%C3%A9+%26")],
    ["twilio", "application/json", json({ MessageSid: "SM1" })],
    ["square", "application/json", json({ event_id: "1" })],
    ["hubspot", "application/json", json([{ eventId: 1, subscriptionId: 2, objectId: 3, occurredAt: 4 }])],
    ["hubspot-workflow", "application/json", json({ objectId: 1 })],
    ["trello", "application/json", json({ action: { id: "1" } })],
    ["contentful", "application/vnd.contentful.management.v1+json", json({ sys: { id: "1" } })],
  ])("%s, %s", async (name, type, body) => {
    const sending = sendingFor(name);
    const url = `${DESTINATION}?tenant=a%2Fb%3A'c`;
    const message = await deliverOne(sending, body, { "content-type": type, "x-contentful-topic": "a" });
    const request = await sendOn(sending.settings, message, { url });
    expect(new URL(request.url).searchParams.get("tenant")).toBe("a/b:'c");
    expect(await arriving(sending, request)).toHaveLength(1);
    const { signer, settings } = sending;
    expect(await refusal(receivedBy(settings, request, TWO_DAYS_LATER, signer.fetch))).toBe(
      "signature_mismatch",
    );
  });
});

describe("headers", () => {
  const stripe = sendingFor("stripe");
  const event = json({ id: "evt_1", type: "thing" });

  test("of the connection, of proxies and of hookonce are not sent on, and all others are", async () => {
    const own = {
      "content-type": "application/json; charset=utf-8",
      "user-agent": "Stripe/1.0",
      "x-forward-me": "no",
      "stripe-account": "acct_1",
      accept: "*/*",
    };
    const { "x-forward-me": _, ...kept } = own;
    const message = await deliverOne(stripe, event, {
      ...own,
      connection: "close, X-Hop, upgrade",
      "x-hop": "1",
      "keep-alive": "timeout=5",
      "proxy-authorization": "Basic eA==",
      te: "trailers",
      trailer: "x-checksum",
      "transfer-encoding": "chunked",
      upgrade: "h2c",
      expect: "100-continue",
      host: "hooks.example.test",
      "content-length": String(event.byteLength),
      "accept-encoding": "gzip",
      "x-forwarded-for": "203.0.113.9",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "hooks.example.test",
      forwarded: "for=203.0.113.9",
      via: "1.1 nginx",
      "x-real-ip": "203.0.113.9",
      "cf-ray": "1",
      "cf-connecting-ip": "203.0.113.9",
      authorization: "Bearer of-the-sender",
      "hookonce-attempt": "9",
      "hookonce-other": "1",
    });
    const { headers } = await sendOn(stripe.settings, { ...message, attempt: 3 });
    expect(headers).toEqual({
      ...kept,
      "stripe-signature": expect.stringMatching(/^t=1790172800,v1=[0-9a-f]{64}$/) as string,
      "hookonce-message-id": "msg_evt_1",
      "hookonce-source": "stripe",
      "hookonce-event-id": "evt_1",
      "hookonce-type": "thing",
      "hookonce-attempt": "3",
      "hookonce-received-at": String(NOW),
    });
  });

  test("of hookonce are visible ASCII, whatever the event's id is", async () => {
    const odd = json({ id: " caf\u00e9 100% \u{1f600} ", type: "a \u00fc" });
    const { headers } = await sendOn(stripe.settings, await deliverOne(stripe, odd));
    expect(headers["hookonce-event-id"]).toBe("%20caf%C3%A9 100%25 %F0%9F%98%80%20");
    expect(headers["hookonce-type"]).toBe("a %C3%BC");
    expect(decodeURIComponent(headers["hookonce-event-id"] ?? "")).toBe(" caf\u00e9 100% \u{1f600} ");
  });

  test("of the destination are added last, and are signed if the provider signs them", async () => {
    const own = { "content-type": "application/x-own", "x-tenant": "7", authorization: "Bearer app" };
    const contentful = sendingFor("contentful");
    const message = await deliverOne(contentful, json({ sys: { id: "1" } }), { "x-contentful-topic": "a" });
    const request = await sendOn(contentful.settings, message, { headers: own });
    expect(request.headers).toMatchObject(own);
    expect(await arriving(contentful, request)).toHaveLength(1);
    const basic = sendingFor("postmark");
    const again = await sendOn(basic.settings, await deliverOne(basic, json({ ID: 1 })), { headers: own });
    expect(again.headers).toMatchObject(own);
  });

  test("that only the connection changes are not among those that Contentful's signature covers", async () => {
    const contentful = sendingFor("contentful");
    const message = await deliverOne(contentful, json({ sys: { id: "1" } }), { "x-contentful-topic": "a" });
    const { headers } = await sendOn(contentful.settings, message);
    expect(headers["x-contentful-signed-headers"]).toBe(
      "content-type,x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic",
    );
  });

  test("with several parts keep their order, their names and their other parts", async () => {
    const ghost = sendingFor("ghost");
    const message = await deliverOne(ghost, event);
    const [time = "", value = ""] = (message.headers["x-ghost-signature"] ?? "").split(", ");
    const sentByGhost = {
      ...message,
      headers: { ...message.headers, "x-ghost-signature": `${value}, ${time}` },
    };
    const request = await sendOn(ghost.settings, sentByGhost);
    expect(request.headers["x-ghost-signature"]).toMatch(/^sha256=[0-9a-f]{64}, t=1790172800000$/);
    expect(await arriving(ghost, request)).toHaveLength(1);

    const hmac = withScheme("hmac", {
      signature: { header: "x-sig", separator: ",", prefix: "sig=" },
      timestamp: { from: { amongParts: true }, unit: "s", tolerance: 300 },
      signed: "{timestamp}.{body}",
    });
    const made = await deliverOne(hmac, event);
    const given = { ...made.headers, "x-sig": "key=7,sig=old,time=1790000000,sig=older" };
    const named = await sendOn(hmac.settings, { ...made, headers: given });
    expect(named.headers["x-sig"]).toMatch(/^key=7,sig=[0-9a-f]{64},time=1790172800$/);
    expect(await arriving(hmac, named)).toHaveLength(1);
  });
});

describe("the query", () => {
  const change = { signature: { header: "x-sig" }, signed: "{query:id}.{body}" };
  const byQuery = (more: Partial<SourceSettings>): Sending => {
    const { signer, settings } = withScheme("hmac", change);
    return { signer, settings: { ...settings, ...more } };
  };

  test("has the parameters that are stored because an id is read from them", async () => {
    const hmac = byQuery({ eventId: "query:id" });
    const message = await deliverOne(hmac, json({ n: 1 }), {}, `${URL_OF_IT}?id=a%26b&other=1`);
    const request = await sendOn(hmac.settings, message);
    expect(request.url).toBe(`${DESTINATION}?id=a%26b`);
    expect(Object.keys(request.headers).filter((name) => name.includes(":"))).toEqual([]);
    expect((await arriving(hmac, request)).map(({ eventId }) => eventId)).toEqual(["a&b"]);
    const own = await sendOn(hmac.settings, message, { url: `${DESTINATION}?id=7` });
    expect(own.url).toBe(`${DESTINATION}?id=7`);
  });

  test("is not stored otherwise, so what is signed of it cannot be signed again", async () => {
    const hmac = byQuery({});
    const message = await deliverOne(hmac, json({ id: "1" }), {}, `${URL_OF_IT}?id=a`);
    const again = sendOn(hmac.settings, message);
    expect(await reason(again)).toContain(
      'Deliveries of source "hmac" cannot be signed again, because their provider signs the query parameter id, which is not stored. Write sign = "standard-webhooks"',
    );
  });
});
