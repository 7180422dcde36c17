import { uuidOf, type Example, type UntypedExample } from "../example.ts";

/**
 * A mail that a route forwards: its parsed parts, and each of its headers as a field.
 * https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http
 */
const mailgunRoute: UntypedExample = {
  form: "fields",
  event: ({ id, ms }) => {
    const headers = {
      "Message-Id": `<${id}@mail.example.com>`,
      Date: new Date(ms).toUTCString(),
      From: "Ada <ada@example.com>",
      To: "orders@mg.example.com",
      Subject: "Re: your order",
    };
    return {
      recipient: "orders@mg.example.com",
      from: headers.From,
      subject: headers.Subject,
      "stripped-text": "Thank you.",
      "body-plain": "Thank you.\r\n\r\n> Your order is on its way.\r\n",
      "body-html": "<p>Thank you.</p><blockquote>Your order is on its way.</blockquote>",
      "stripped-html": "<p>Thank you.</p>",
      "stripped-signature": "",
      sender: "ada@example.com",
      ...headers,
      "message-headers": JSON.stringify(Object.entries(headers)),
      "attachment-count": "1",
      "content-id-map": "{}",
    };
  },
  files: ({ id }) => [
    { field: "attachment-1", filename: "order.txt", type: "text/plain", content: `Order ${id}\n` },
  ],
  update: () => `  insert into mails (event_id, sender, subject, body) values
    (:event_id, :payload ->> '$.from', :payload ->> '$.subject', :payload ->> '$."body-plain"');

The bytes of an attachment are in event.files of a TypeScript handler, under its field: attachment-1.`,
  dashboard: "https://app.mailgun.com/mg/receiving/routes",
  subscribe: "for inbound mail, a route that forwards to this URL",
};

/** A mail as Postmark's inbound stream delivers it: npm postmark 4.0.7, InboundWebhook.d.ts. */
const postmarkInbound: UntypedExample = {
  event: (seed) => ({
    From: "ada@example.com",
    FromName: "Ada",
    FromFull: { Email: "ada@example.com", Name: "Ada", MailboxHash: "" },
    To: "orders@example.com",
    ToFull: [{ Email: "orders@example.com", Name: "", MailboxHash: "" }],
    Cc: "",
    CcFull: [],
    Bcc: "",
    BccFull: [],
    ReplyTo: "",
    OriginalRecipient: "orders@example.com",
    Subject: "Re: your order",
    Date: new Date(seed.ms).toUTCString(),
    MailboxHash: "",
    MessageID: uuidOf(seed),
    MessageStream: "inbound",
    TextBody: "Thank you.\n\n> Your order is on its way.\n",
    HtmlBody: "<p>Thank you.</p>",
    StrippedTextReply: "Thank you.",
    Headers: [{ Name: "Message-ID", Value: `<${seed.id}@mail.example.com>` }],
    Attachments: [
      {
        Name: "order.txt",
        Content: btoa(`Order ${seed.id}\n`),
        ContentType: "text/plain",
        ContentLength: 31,
      },
    ],
  }),
  dashboard: "https://account.postmarkapp.com/servers (the server's inbound stream, Settings)",
  subscribe: "for inbound mail, the webhook of the inbound stream",
  develop: "the Check button beside the webhook's URL on that page",
};

export const messaging: Readonly<Record<string, Example>> = {
  slack: {
    types: ["app_mention", "message"],
    event: ({ id, type, s }) => ({
      team_id: "T1DC2JH3J",
      api_app_id: "A0KRD7HC3",
      event: { type, user: "U2CERLKJA", text: "hello", ts: `${s}.000200`, channel: "C0LAN2Q65" },
      type: "event_callback",
      event_id: `Ev${id.toUpperCase()}`,
      event_time: s,
    }),
    dashboard: "https://api.slack.com/apps (your app, Event Subscriptions)",
  },
  zoom: {
    types: ["meeting.started", "meeting.ended", "recording.completed"],
    event: ({ id, type, ms, iso }) => ({
      event: type,
      event_ts: ms,
      payload: {
        account_id: "AAAAAABBBB",
        object: {
          id: "1234567890",
          uuid: id,
          host_id: "x1yCzABCDEfg23HiJKl4mN",
          topic: "Engine",
          start_time: iso,
        },
      },
    }),
    dashboard: "https://marketplace.zoom.us/user/build (your app, Feature, Event Subscriptions)",
  },
  discord: {
    types: ["APPLICATION_AUTHORIZED", "ENTITLEMENT_CREATE"],
    event: ({ type, number, iso }) => ({
      version: 1,
      application_id: "1234560123453231555",
      type: 1,
      event: {
        type,
        timestamp: iso,
        data: {
          integration_type: 1,
          scopes: ["applications.commands"],
          user: { id: String(number), username: "ada" },
        },
      },
    }),
    dashboard: "https://discord.com/developers/applications (your application, Webhooks)",
  },
  telegram: {
    types: ["message", "callback_query"],
    event: ({ type, number, s }) => ({
      update_id: number,
      [type]: {
        message_id: 1365,
        from: { id: 1111111, is_bot: false, first_name: "Ada", username: "ada" },
        chat: { id: 1111111, type: "private", first_name: "Ada" },
        date: s,
        text: "/start",
      },
    }),
    dashboard: "setWebhook of the Bot API, with url and secret_token",
    subscribe: "the allowed_updates of setWebhook",
  },
  meta: {
    types: ["messages"],
    event: ({ id, type, s }) => ({
      value: {
        messaging_product: "whatsapp",
        metadata: { display_phone_number: "15550783881", phone_number_id: "106540352242922" },
        contacts: [{ profile: { name: "Ada" }, wa_id: "16505551234" }],
        messages: [
          {
            from: "16505551234",
            id: `wamid.${id}`,
            timestamp: String(s),
            type: "text",
            text: { body: "hello" },
          },
        ],
      },
      field: type,
    }),
    wrap: (events) => ({
      object: "whatsapp_business_account",
      entry: [{ id: "102290129340398", changes: events }],
    }),
    dashboard: "https://developers.facebook.com/apps/ (your app, WhatsApp, Configuration, Webhook)",
  },
  twilio: {
    types: ["delivered", "failed", "received"],
    form: "fields",
    event: ({ id, type }) => ({
      AccountSid: `AC${"0".repeat(32)}`,
      ApiVersion: "2010-04-01",
      MessageSid: `SM${id.padEnd(32, "0")}`,
      From: "+15017122661",
      To: "+15558675310",
      ...(type === "received"
        ? {
            SmsStatus: type,
            SmsMessageSid: `SM${id.padEnd(32, "0")}`,
            Body: "Hello",
            NumSegments: "1",
            NumMedia: "0",
          }
        : { MessageStatus: type }),
    }),
    dashboard: "https://console.twilio.com (the number, or the statusCallback of a message)",
    subscribe: "nothing to tick: every status of a message or call",
  },
  intercom: {
    types: ["contact.created", "conversation.user.created"],
    event: ({ id, type, s }) => ({
      type: "notification_event",
      id: `notif_${id}`,
      app_id: "abc123",
      topic: type,
      delivery_attempts: 1,
      first_sent_at: s,
      created_at: s,
      data: {
        type: "notification_event_data",
        item: { type: "contact", id: "64f1", email: "ada@example.com" },
      },
    }),
    dashboard: "https://app.intercom.com/a/apps/_/developer-hub (your app, Webhooks)",
  },
  sendgrid: {
    types: ["delivered", "bounce", "open"],
    event: ({ id, type, s }) => ({
      email: "ada@example.com",
      timestamp: s,
      "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
      event: type,
      sg_event_id: id,
      sg_message_id: "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    }),
    wrap: (events) => events,
    dashboard: "https://app.sendgrid.com/settings/mail_settings (Event Webhooks)",
    develop: "the Test Your Integration button on that page",
  },
  mailgun: {
    types: ["delivered", "failed", "opened"],
    event: ({ id, type, s }) => ({
      "event-data": {
        event: type,
        id,
        timestamp: s,
        recipient: "ada@example.com",
        message: { headers: { "message-id": "20130503182626.18666.16540@example.com", subject: "Hello" } },
      },
    }),
    dashboard: "https://app.mailgun.com/mg/sending/webhooks",
    develop: "the Test webhook button on that page",
    untyped: { inbound: mailgunRoute },
  },
  postmark: {
    types: ["Bounce", "Delivery"],
    event: ({ type, number, iso }) => ({
      RecordType: type,
      ID: number,
      Type: "HardBounce",
      MessageID: "883953f4-6105-42a2-a16a-77a8eac79483",
      Email: "ada@example.com",
      BouncedAt: iso,
      Inactive: true,
    }),
    dashboard: "https://account.postmarkapp.com/servers (the server's message stream, Webhooks)",
    develop: "the Send test button on that page",
    untyped: { Inbound: postmarkInbound },
  },
  resend: {
    types: ["email.delivered", "email.bounced"],
    headers: ({ id }) => ({ "svix-id": `msg_${id}` }),
    event: (seed) => ({
      type: seed.type,
      created_at: seed.iso,
      data: { email_id: uuidOf(seed), from: "a@example.com", to: ["ada@example.com"], subject: "Hello" },
    }),
    dashboard: "https://resend.com/webhooks",
  },
  twitch: {
    types: ["notification.stream.online", "notification.channel.follow"],
    headers: (seed) => ({
      "twitch-eventsub-message-id": uuidOf(seed),
      "twitch-eventsub-message-type": seed.type.split(".")[0] ?? seed.type,
      "twitch-eventsub-message-retry": "0",
    }),
    event: ({ id, type, iso }) => ({
      subscription: {
        id: "f1c2a387-161a-49f9-a165-0f21d7a4e1c4",
        status: "enabled",
        type: type.split(".").slice(1).join("."),
        version: "1",
        condition: { broadcaster_user_id: "1337" },
        created_at: iso,
      },
      event: { id, broadcaster_user_id: "1337", broadcaster_user_name: "Ada", started_at: iso },
    }),
    dashboard: "POST https://api.twitch.tv/helix/eventsub/subscriptions",
    subscribe: "a subscription for each type, with a secret of 10 to 100 characters",
  },
};
