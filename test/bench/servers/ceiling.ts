// The ceiling: Bun's HTTP server when it only reads the body and answers.
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
