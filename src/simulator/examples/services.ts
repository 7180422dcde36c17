import { uuidOf, type Example } from "../example.ts";

const hubspot: Example = {
  types: ["contact.creation", "deal.propertyChange"],
  event: ({ number, type, ms }) => ({
    eventId: number,
    subscriptionId: 12345,
    portalId: 62515,
    appId: 54321,
    occurredAt: ms,
    subscriptionType: type,
    attemptNumber: 0,
    objectId: 123,
    changeSource: "CRM",
    changeFlag: "NEW",
  }),
  wrap: (events) => events,
  dashboard: "https://app.hubspot.com/developer (your app, Webhooks)",
};

export const services: Readonly<Record<string, Example>> = {
  hubspot,
  "hubspot-v1": hubspot,
  "hubspot-workflow": {
    types: [""],
    event: ({ number, ms }) => ({
      vid: number,
      "portal-id": 62515,
      "is-contact": true,
      properties: {
        firstname: { value: "Ada" },
        email: { value: "ada@example.com" },
        lastmodifieddate: { value: `${ms}` },
      },
    }),
    dashboard: "https://app.hubspot.com/workflows (the workflow, Send a webhook, with a request signature)",
    subscribe: "nothing to tick: every run of the workflow",
  },
  notion: {
    types: ["page.content_updated", "page.created"],
    event: (seed) => ({
      id: uuidOf(seed),
      timestamp: seed.iso,
      workspace_id: "13950b26-c203-4f3b-b97d-93ec06319565",
      subscription_id: "29d75c0d-5546-4414-8459-7b7a92f1fc4b",
      type: seed.type,
      attempt_number: 1,
      entity: { id: "153104cd-477e-809d-8dc4-ff2d96ae3090", type: "page" },
      data: { parent: { id: "13950b26-c203-4f3b-b97d-93ec06319565", type: "space" } },
    }),
    dashboard: "https://www.notion.so/profile/integrations (your integration, Webhooks)",
  },
  typeform: {
    types: ["form_response"],
    event: ({ id, type, iso }) => ({
      event_id: id,
      event_type: type,
      form_response: {
        form_id: "lT4Z3j",
        token: id.padEnd(32, "0"),
        submitted_at: iso,
        answers: [
          { type: "text", text: "Ada", field: { id: "hVONkQcnSNRj", type: "short_text", ref: "name" } },
        ],
      },
    }),
    dashboard: "https://admin.typeform.com (the form, Connect, Webhooks)",
    subscribe: "nothing to tick: every response",
    develop: "View deliveries, Send test request",
  },
  calendly: {
    types: ["invitee.created", "invitee.canceled"],
    event: (seed) => ({
      created_at: seed.iso,
      created_by: "https://api.calendly.com/users/AAAAAAAAAAAAAAAA",
      event: seed.type,
      payload: {
        uri: `https://api.calendly.com/scheduled_events/E/invitees/${uuidOf(seed)}`,
        email: "ada@example.com",
        name: "Ada",
        status: "active",
        scheduled_event: { uri: "https://api.calendly.com/scheduled_events/E", start_time: seed.iso },
      },
    }),
    dashboard: "POST https://api.calendly.com/webhook_subscriptions",
  },
  docusign: {
    types: ["envelope-completed", "envelope-declined"],
    event: (seed) => ({
      event: seed.type,
      apiVersion: "v2.1",
      retryCount: 0,
      generatedDateTime: seed.iso,
      data: {
        accountId: "3f9ea420-0000-4000-8000-000000000000",
        envelopeId: uuidOf(seed),
        envelopeSummary: { status: "completed", emailSubject: "Please sign" },
      },
    }),
    dashboard: "https://apps-d.docusign.com/admin/connect (Settings, Connect, JSON SIM)",
  },
  dropbox: {
    types: ["list_folder"],
    event: ({ number, type }) => ({
      [type]: { accounts: [`dbid:AAH4f99${number}`] },
      delta: { users: [12345678] },
    }),
    dashboard: "https://www.dropbox.com/developers/apps (your app, Webhooks)",
    subscribe: "nothing to tick: the ping only says whose files have changed",
  },
  figma: {
    types: ["FILE_UPDATE", "FILE_COMMENT"],
    event: ({ id, type, iso }) => ({
      event_type: type,
      file_key: id,
      file_name: "Engine",
      timestamp: iso,
      webhook_id: "22",
    }),
    dashboard: "POST https://api.figma.com/v2/webhooks",
    subscribe: "a webhook for each event",
  },
  sanity: {
    types: ["update", "create", "delete"],
    headers: ({ id, type }) => ({ "idempotency-key": id, "sanity-operation": type }),
    event: ({ id, iso }) => ({ _id: `post-${id}`, _type: "post", title: "Blåbær", _updatedAt: iso }),
    dashboard: "https://www.sanity.io/manage (the project, API, Webhooks)",
  },
  contentful: {
    types: ["ContentManagement.Entry.publish", "ContentManagement.Entry.unpublish"],
    headers: ({ type }) => ({ "x-contentful-topic": type, "x-contentful-webhook-name": "hookonce" }),
    event: ({ id, iso }) => ({
      sys: {
        type: "Entry",
        id: id.slice(0, 22),
        updatedAt: iso,
        contentType: { sys: { id: "post" } },
        space: { sys: { id: "space1" } },
      },
      fields: { title: { "en-US": "Hello" } },
    }),
    contentType: "application/vnd.contentful.management.v1+json",
    dashboard: "https://app.contentful.com (the space's Settings, Webhooks, with request verification on)",
  },
  clerk: {
    types: ["user.created", "user.deleted"],
    headers: ({ id }) => ({ "svix-id": `msg_${id}` }),
    event: ({ id, type, ms }) => ({
      data: {
        id: `user_${id}`,
        object: "user",
        first_name: "Ada",
        email_addresses: [{ id: "idn_1", email_address: "ada@example.com" }],
        created_at: ms,
      },
      object: "event",
      type,
      timestamp: ms,
      instance_id: "ins_123",
    }),
    dashboard: "https://dashboard.clerk.com/last-active?path=webhooks",
  },
  workos: {
    types: ["dsync.user.created", "connection.activated"],
    event: ({ id, type, iso }) => ({
      id: `event_${id}`,
      event: type,
      data: { id: "directory_user_1", object: "directory_user", email: "ada@example.com", state: "active" },
      created_at: iso,
    }),
    dashboard: "https://dashboard.workos.com/webhooks",
  },
  openai: {
    types: ["response.completed", "batch.completed"],
    headers: ({ id }) => ({ "webhook-id": `wh_${id}` }),
    event: ({ id, type, s }) => ({
      object: "event",
      id: `evt_${id}`,
      type,
      created_at: s,
      data: { id: `resp_${id}` },
    }),
    dashboard: "https://platform.openai.com/settings/project/webhooks",
  },
  anthropic: {
    types: ["session.status_idled"],
    headers: ({ id }) => ({ "webhook-id": `msg_${id}` }),
    event: ({ id, type, iso }) => ({
      type: "event",
      id: `event_${id}`,
      created_at: iso,
      data: { type, id: `sesn_${id}` },
    }),
    dashboard: "https://platform.claude.com (Settings, Webhooks)",
  },
  replicate: {
    types: ["succeeded", "failed"],
    headers: ({ id }) => ({ "webhook-id": `msg_${id}` }),
    event: ({ id, type, iso }) => ({
      id,
      version: "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa",
      status: type,
      input: { prompt: "an engine" },
      output: ["https://replicate.delivery/engine.png"],
      completed_at: iso,
    }),
    dashboard: "the webhook that your code gives when it creates a prediction",
    subscribe: "the webhook_events_filter that your code gives with it",
  },
  ghost: {
    types: ["post.published", "member.added"],
    event: ({ id, type, iso }) => ({
      event: type,
      [type.split(".")[0] ?? type]: { current: { id, updated_at: iso }, previous: {} },
    }),
    dashboard: "https://your-site/ghost (Settings, Integrations, Add custom integration, Add webhook)",
    subscribe: "a webhook for each event, each with the secret",
  },
  cal: {
    types: ["BOOKING_CREATED", "BOOKING_CANCELLED", "BOOKING_RESCHEDULED"],
    event: ({ id, number, type, iso }) => ({
      triggerEvent: type,
      createdAt: iso,
      payload: {
        uid: id,
        bookingId: number,
        title: "30 min with Ada",
        startTime: iso,
        attendees: [{ email: "ada@example.com", name: "Ada" }],
        status: "ACCEPTED",
      },
    }),
    dashboard: "https://app.cal.com/settings/developer/webhooks",
  },
};
