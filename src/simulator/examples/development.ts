import { halvesOf, uuidOf, type Example, type Seed } from "../example.ts";

const GITHUB_REPOSITORY = { id: 1296269, name: "engine", full_name: "ada/engine", private: false };

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads */
function githubEvent({ id, type, number, iso }: Seed): unknown {
  const { head, tail } = halvesOf(type);
  const common = {
    ...(tail === undefined ? {} : { action: tail }),
    repository: GITHUB_REPOSITORY,
    sender: { login: "ada", id: 1 },
  };
  if (head === "issues")
    return { ...common, issue: { id: number, number: 1, title: "It works", state: "open", created_at: iso } };
  if (head === "pull_request")
    return { ...common, number: 2, pull_request: { id: number, number: 2, title: "More", merged: false } };
  if (head === "release") return { ...common, release: { id: number, tag_name: "v1.0.0", name: "One" } };
  const after = id.padEnd(40, "0");
  return {
    ref: "refs/heads/main",
    before: "0".repeat(40),
    after,
    head_commit: { id: after, message: "Start the engine", timestamp: iso },
    pusher: { name: "ada" },
    ...common,
  };
}

function gitlabEvent({ id, type }: Seed): unknown {
  const kind = type
    .replace(/ Hook$/, "")
    .toLowerCase()
    .replaceAll(" ", "_");
  return {
    object_kind: kind,
    event_name: kind,
    ref: "refs/heads/main",
    checkout_sha: id.padEnd(40, "0"),
    user_username: "ada",
    project_id: 15,
    project: { id: 15, name: "engine", path_with_namespace: "ada/engine" },
    total_commits_count: 1,
  };
}

export const development: Readonly<Record<string, Example>> = {
  github: {
    types: ["push", "issues.opened", "pull_request.closed"],
    ticksHeads: true,
    headers: (seed) => ({
      "x-github-event": halvesOf(seed.type).head,
      "x-github-delivery": uuidOf(seed),
      "x-github-hook-id": "1",
    }),
    event: githubEvent,
    dashboard: "https://github.com/OWNER/REPOSITORY/settings/hooks (Add webhook, application/json)",
    develop: "gh webhook forward --repo=OWNER/REPOSITORY --events=EVENTS --url=URL --secret=…",
  },
  gitlab: {
    types: ["Push Hook", "Merge Request Hook"],
    headers: (seed) => ({ "x-gitlab-event": seed.type, "webhook-id": uuidOf(seed) }),
    event: gitlabEvent,
    dashboard: "https://gitlab.com/GROUP/PROJECT/-/hooks (Settings, Webhooks, Signing token)",
    develop: "the webhook's Test menu",
  },
  "gitlab-token": {
    types: ["Push Hook", "Merge Request Hook"],
    headers: (seed) => ({ "x-gitlab-event": seed.type, "idempotency-key": uuidOf(seed) }),
    event: gitlabEvent,
    dashboard: "https://gitlab.com/GROUP/PROJECT/-/hooks (Settings, Webhooks, Secret token)",
    develop: "the webhook's Test menu",
  },
  bitbucket: {
    types: ["repo:push", "pullrequest:fulfilled"],
    headers: (seed) => ({
      "x-event-key": seed.type,
      "x-request-uuid": uuidOf(seed),
      "x-hook-uuid": "8fb3dcbf-6f26-4a24-9a0a-c9d6e7d8b2f1",
    }),
    event: ({ id, iso }) => ({
      actor: { display_name: "Ada", type: "user" },
      repository: { name: "engine", full_name: "ada/engine", type: "repository" },
      push: {
        changes: [
          {
            new: { type: "branch", name: "main", target: { hash: id.padEnd(40, "0"), date: iso } },
            closed: false,
          },
        ],
      },
    }),
    dashboard: "https://bitbucket.org/WORKSPACE/REPOSITORY/admin/webhooks",
  },
  gitea: {
    types: ["push", "issues.opened"],
    ticksHeads: true,
    headers: (seed) => ({ "x-gitea-event": halvesOf(seed.type).head, "x-gitea-delivery": uuidOf(seed) }),
    event: ({ id, type }) => ({
      ...(halvesOf(type).tail === undefined ? {} : { action: halvesOf(type).tail }),
      ref: "refs/heads/main",
      after: id.padEnd(40, "0"),
      repository: { id: 1, name: "engine", full_name: "ada/engine" },
      sender: { id: 1, login: "ada" },
    }),
    dashboard: "the repository's Settings, Webhooks, Add Webhook",
    develop: "the webhook's Test Delivery button",
  },
  gogs: {
    types: ["push", "issues.opened"],
    ticksHeads: true,
    headers: (seed) => ({ "x-gogs-event": halvesOf(seed.type).head, "x-gogs-delivery": uuidOf(seed) }),
    event: ({ id, type }) => ({
      ...(halvesOf(type).tail === undefined ? {} : { action: halvesOf(type).tail }),
      ref: "refs/heads/main",
      after: id.padEnd(40, "0"),
      repository: { id: 1, name: "engine", full_name: "ada/engine" },
      sender: { id: 1, login: "ada" },
    }),
    dashboard: "the repository's Settings, Webhooks, Add Webhook",
    develop: "the webhook's Test Delivery button",
  },
  jira: {
    types: ["jira:issue_created", "jira:issue_updated"],
    headers: ({ id }) => ({ "x-atlassian-webhook-identifier": id }),
    event: ({ type, ms }) => ({
      timestamp: ms,
      webhookEvent: type,
      user: { accountId: "99:27935d01", displayName: "Ada" },
      issue: { id: "10002", key: "ENG-1", fields: { summary: "It works", status: { name: "To Do" } } },
    }),
    dashboard: "https://YOUR-SITE.atlassian.net/plugins/servlet/webhooks (Settings, System, WebHooks)",
  },
  "jira-data-center": {
    types: ["jira:issue_created", "jira:issue_updated"],
    headers: ({ id }) => ({ "x-atlassian-webhook-identifier": id }),
    event: ({ type, ms }) => ({
      timestamp: ms,
      webhookEvent: type,
      user: { accountId: "99:27935d01", displayName: "Ada" },
      issue: { id: "10002", key: "ENG-1", fields: { summary: "It works", status: { name: "To Do" } } },
    }),
    dashboard: "https://YOUR-JIRA/plugins/servlet/webhooks (Administration, System, WebHooks)",
  },
  linear: {
    types: ["Issue.create", "Issue.update"],
    ticksHeads: true,
    headers: (seed) => ({ "linear-delivery": uuidOf(seed), "linear-event": halvesOf(seed.type).head }),
    event: (seed) => ({
      action: halvesOf(seed.type).tail,
      type: halvesOf(seed.type).head,
      createdAt: seed.iso,
      data: { id: uuidOf(seed), title: "It works", team: { id: "team_1", key: "ENG" }, priority: 2 },
      organizationId: "d1f0a5ef-9d4c-4b3c-8b45-6a3d7a4a7d1e",
      webhookTimestamp: seed.ms,
    }),
    dashboard: "https://linear.app/settings/api (Settings, API, Webhooks)",
  },
  sentry: {
    types: ["issue.created", "issue.resolved"],
    ticksHeads: true,
    headers: ({ id, type }) => ({ "sentry-hook-resource": halvesOf(type).head, "request-id": id }),
    event: ({ type, number, iso }) => ({
      action: halvesOf(type).tail,
      installation: { uuid: "7a485448-a9e2-4c85-8a3c-4f44175783c9" },
      data: {
        issue: {
          id: String(number),
          shortId: "ENGINE-1",
          title: "TypeError: it broke",
          level: "error",
          status: "unresolved",
          firstSeen: iso,
        },
      },
      actor: { type: "application", id: "sentry", name: "Sentry" },
    }),
    dashboard: "https://sentry.io/settings/ (Developer Settings, your internal integration)",
  },
  vercel: {
    types: ["deployment.succeeded", "deployment.error"],
    event: ({ id, type, ms }) => ({
      id: `evt_${id}`,
      type,
      createdAt: ms,
      region: "fra1",
      payload: {
        deployment: { id: `dpl_${id}`, name: "engine", url: "engine.vercel.app" },
        project: { id: "prj_1" },
        target: "production",
      },
    }),
    dashboard: "https://vercel.com/account/webhooks (the team's Settings, Webhooks)",
  },
  netlify: {
    types: ["deploy_created", "deploy_failed"],
    headers: ({ type }) => ({ "x-netlify-event": type }),
    event: ({ id, iso }) => ({
      id,
      site_id: "fa4dd95a-3b1f-4a6e-9c1f-0a4b3c2d1e0f",
      state: "ready",
      name: "engine",
      url: "https://engine.netlify.app",
      branch: "main",
      created_at: iso,
    }),
    dashboard: "https://app.netlify.com (the site's Configuration, Notifications, HTTP POST request)",
    subscribe: "a notification for each event",
  },
  "cloudflare-stream": {
    types: ["ready", "error"],
    event: ({ id, type, iso }) => ({
      uid: id.padEnd(32, "0"),
      readyToStream: true,
      status: { state: type },
      meta: { name: "engine.mp4" },
      created: iso,
      duration: 12.5,
    }),
    dashboard: "PUT /accounts/{account_id}/stream/webhook of Cloudflare's API, which answers with the secret",
    subscribe: "nothing to tick: one webhook, for every video",
  },
  "cloudflare-notifications": {
    types: ["health_check_status_notification"],
    event: ({ id, type, s }) => ({
      name: "origin down",
      text: `Health check ${id} changed to unhealthy.`,
      data: { health_check_id: id, status: "Unhealthy" },
      ts: s,
      account_id: "023e105f4ecef8ad9ca31a8372d0c353",
      alert_type: type,
    }),
    dashboard: "https://dash.cloudflare.com (Notifications, Destinations, Webhooks)",
  },
  "aws-sns": {
    types: ["Notification"],
    event: (seed) => ({
      Type: seed.type,
      MessageId: uuidOf(seed),
      TopicArn: "arn:aws:sns:us-east-1:123456789012:orders",
      Subject: "An order",
      Message: '{"order":"order_1001","total":4900}',
      Timestamp: seed.iso,
    }),
    headers: (seed) => ({ "x-amz-sns-message-type": seed.type, "x-amz-sns-message-id": uuidOf(seed) }),
    contentType: "text/plain; charset=UTF-8",
    dashboard: "https://console.aws.amazon.com/sns/ (the topic, Create subscription, HTTPS)",
    subscribe: "nothing to tick: everything that is published to the topic",
    develop: "aws sns publish --topic-arn … --message …, through a tunnel",
  },
  discourse: {
    types: ["post_created", "topic_created", "user_created"],
    headers: ({ number, type }) => ({
      "x-discourse-instance": "https://forum.example.com",
      "x-discourse-event-id": `${number}`,
      "x-discourse-event-type": type.split("_")[0] ?? type,
      "x-discourse-event": type,
    }),
    event: ({ number, type, iso }) => ({
      [type.split("_")[0] ?? type]: { id: number, username: "ada", created_at: iso },
    }),
    dashboard: "https://your-forum/admin/api/web_hooks (content type application/json)",
  },
};
