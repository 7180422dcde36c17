// The ceiling: what Bun's HTTP server does when there is nothing to do but to read the body and answer.
// Usage: bun ceiling.ts <port>

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  development: false,
  async fetch(request) {
    await request.arrayBuffer();
    return new Response('{"status":"processed"}', { headers: { "content-type": "application/json" } });
  },
});
