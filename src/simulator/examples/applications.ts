import { uuidOf, type Example, type Seed } from "../example.ts";

/** https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
function alert({ id, type, iso }: Seed): unknown {
  return {
    status: type,
    labels: { alertname: "HighLatency", instance: "shop:9090", severity: "critical" },
    annotations: { summary: "Answers take longer than 500 ms" },
    startsAt: iso,
    endsAt: type === "resolved" ? iso : "0001-01-01T00:00:00Z",
    generatorURL: "https://metrics.example.com/graph",
    fingerprint: id.slice(0, 16),
  };
}

const groupOf = (alerts: readonly unknown[], { type }: Seed): Record<string, unknown> => ({
  receiver: "hookonce",
  status: type,
  alerts,
  groupLabels: { alertname: "HighLatency" },
  commonLabels: { alertname: "HighLatency", severity: "critical" },
  commonAnnotations: {},
  externalURL: "https://alerts.example.com",
  groupKey: '{}:{alertname="HighLatency"}',
  truncatedAlerts: 0,
});

export const applications: Readonly<Record<string, Example>> = {
  strava: {
    types: ["activity.create", "activity.update", "athlete.update"],
    event: ({ number, type, s }) => ({
      aspect_type: type.split(".")[1],
      event_time: s,
      object_id: number,
      object_type: type.split(".")[0],
      owner_id: 134815,
      subscription_id: 120475,
      updates: type === "activity.update" ? { title: "Morning run" } : {},
    }),
    dashboard: "POST https://www.strava.com/api/v3/push_subscriptions (callback_url)",
    subscribe: "nothing to tick: Strava sends all of them",
  },
  "docker-hub": {
    types: ["push_data"],
    event: ({ id, number, s }) => ({
      // Docker Hub's own address, as in its documentation.
      callback_url: `https://registry.hub.docker.com/u/example/shop/hook/${id}/`,
      push_data: { pushed_at: s, pusher: "ada", tag: `1.${number}`, media_type: "" },
      repository: {
        repo_name: "example/shop",
        name: "shop",
        namespace: "example",
        owner: "example",
        repo_url: "https://hub.docker.com/r/example/shop",
        status: "Active",
      },
    }),
    dashboard: "https://hub.docker.com (your repository, Webhooks)",
    subscribe: "nothing to tick: Docker Hub sends each push",
  },
  gumroad: {
    types: ["sale", "refund", "subscription_ended"],
    form: "fields",
    event: ({ id, type, iso }) => ({
      seller_id: "kL0psVL2admJSYRNs-OCMg==",
      product_id: "6h2JqXKN3NSKUvVV-OWR_A==",
      product_name: "A pencil",
      email: "ada@example.com",
      price: "1000",
      currency: "usd",
      quantity: "1",
      sale_id: `${id}==`,
      sale_timestamp: iso,
      refunded: String(type === "refund"),
      resource_name: type,
    }),
    dashboard: "https://gumroad.com/settings/advanced (Ping endpoint), or PUT /v2/resource_subscriptions",
    subscribe: "nothing to tick for Ping, which sends sales; a resource subscription for each other type",
    develop: "the button for a test ping on that page",
  },
  "uptime-kuma": {
    types: ["heartbeat.0", "heartbeat.1"],
    event: ({ number, type, iso }) => ({
      heartbeat: {
        monitorID: 1 + (number % 100),
        status: Number(type.split(".")[1] ?? 0),
        time: iso.slice(0, 23).replace("T", " "),
        msg: type === "heartbeat.1" ? "200 - OK" : "connect ECONNREFUSED",
        important: true,
        duration: 60,
        ping: null,
      },
      monitor: { id: 1 + (number % 100), name: "shop", url: "https://shop.example.com", type: "http" },
      msg: type === "heartbeat.1" ? "[shop] [Up] 200 - OK" : "[shop] [Down] connect ECONNREFUSED",
    }),
    dashboard: "Uptime Kuma, Settings, Notifications, Webhook (Post URL)",
    subscribe: "nothing to tick: heartbeat.0 is down, and heartbeat.1 is up",
    develop: "the Test button there, whose event has the type msg",
  },
  alertmanager: {
    types: ["firing", "resolved"],
    event: alert,
    wrap: (events, seed) => ({ version: "4", ...groupOf(events, seed) }),
    dashboard: "alertmanager.yml, receivers, webhook_configs (url)",
    subscribe: "send_resolved: true, which is the default",
  },
  grafana: {
    types: ["firing", "resolved"],
    event: alert,
    wrap: (events, seed) => ({
      version: "1",
      orgId: 1,
      title: `[${seed.type.toUpperCase()}:${events.length}] HighLatency`,
      state: seed.type === "resolved" ? "ok" : "alerting",
      ...groupOf(events, seed),
    }),
    dashboard: "Grafana, Alerting, Contact points, Webhook (HMAC Signature: Secret, with the default header)",
    subscribe: "resolved messages, which are sent by default",
    develop: "the Test button of the contact point",
  },
  supabase: {
    types: ["send-email", "send-sms", "before-user-created"],
    headers: (seed) => ({ "webhook-id": uuidOf(seed) }),
    event: (seed) => ({
      metadata: { uuid: uuidOf(seed), time: seed.iso, name: seed.type, ip_address: "127.0.0.1" },
      user: { id: "8484b834-f29e-4af2-bf42-80644d154f76", email: "ada@example.com", phone: "+15550100" },
      ...(seed.type === "send-email"
        ? { email_data: { token: "305805", email_action_type: "signup", site_url: "http://localhost:9999" } }
        : {}),
      ...(seed.type === "send-sms" ? { sms: { otp: "561166" } } : {}),
    }),
    dashboard: "https://supabase.com/dashboard (your project, Authentication, Hooks, HTTPS)",
    subscribe: "one hook for each type",
  },
  "supabase-database": {
    types: ["public.orders.INSERT", "public.orders.UPDATE"],
    event: ({ number, type }) => {
      const [schema, table, change] = type.split(".");
      return {
        type: change,
        table,
        schema,
        record: { id: number, status: "paid" },
        old_record: change === "INSERT" ? null : { id: number, status: "new" },
      };
    },
    dashboard: "https://supabase.com/dashboard (your project, Integrations, Database Webhooks, HTTP Headers)",
    subscribe: "the table, and Insert, Update or Delete",
  },
  trello: {
    types: ["updateCard", "createCard", "commentCard"],
    event: ({ id, type, iso }) => ({
      action: {
        id,
        type,
        date: iso,
        idMemberCreator: "4ee7df3ce582acdec80000b2",
        data: { board: { id: "4ee7df1be582acdec80000ae", name: "Work" }, card: { name: "Write the report" } },
      },
      model: { id: "4ee7df1be582acdec80000ae", name: "Work" },
      webhook: { id: "51f9277b2822b8654f0023af", active: true },
    }),
    dashboard: "POST https://api.trello.com/1/webhooks (callbackURL, idModel)",
    subscribe: "nothing to tick: Trello sends every action on the model",
  },
  plex: {
    types: ["media.play", "media.scrobble", "library.new"],
    form: { field: "payload" },
    files: () => [
      { field: "thumb", filename: "thumb.jpg", type: "image/jpeg", content: "\u00ff\u00d8\u00ff" },
    ],
    event: ({ number, type }) => ({
      event: type,
      user: true,
      owner: true,
      Metadata: { type: "movie", title: "The Kid", ratingKey: `${number}` },
      Account: { id: 1, title: "ada" },
      Server: { title: "attic", uuid: "54664a3d8acc39983675640ec9ce00b70af9cc36" },
      Player: { local: true, title: "Living room", uuid: "r6yfkdnfggbh2bdnvkffwbms" },
    }),
    dashboard: "https://app.plex.tv (Account, Webhooks; needs Plex Pass)",
    subscribe: "nothing to tick: Plex sends all of them",
  },
};
