// The ceiling: uWebSockets' own topic publish, with just enough of the Pusher dialect for wsload. It checks nothing: no
// app, no signature, no limits, no channel names. Usage: node uws.js PORT
"use strict";

const uws = require("uWebSockets.js");

if (!Object.keys(require.cache).some((file) => file.endsWith(".node"))) {
  console.error(`uWebSockets.js has no build for Node.js ${process.version}; its slow stand-in would prove nothing`);
  process.exit(1);
}

const port = Number(process.argv[2]);
const server = uws.App();
let connections = 0;

const frame = (event, data, channel) => JSON.stringify({ event, channel, data });

server.ws("/app/:key", {
  maxPayloadLength: 65536,
  open(ws) {
    const socket_id = `1.${++connections}`;
    ws.send(frame("pusher:connection_established", JSON.stringify({ socket_id, activity_timeout: 120 })));
  },
  message(ws, message) {
    const { event, data } = JSON.parse(Buffer.from(message).toString());
    if (event === "pusher:ping") ws.send(frame("pusher:pong", "{}"));
    if (event !== "pusher:subscribe") return;
    ws.subscribe(data.channel);
    ws.send(frame("pusher_internal:subscription_succeeded", "{}", data.channel));
  },
});

server.post("/apps/:id/events", (response) => {
  const chunks = [];
  response.onAborted(() => {});
  response.onData((chunk, last) => {
    chunks.push(Buffer.from(chunk.slice(0)));
    if (!last) return;
    const { name, channel, channels, data } = JSON.parse(Buffer.concat(chunks).toString());
    for (const each of channels ?? [channel]) server.publish(each, frame(name, data, each));
    response.writeHeader("Content-Type", "application/json").end("{}");
  });
});

server.listen("127.0.0.1", port, (listening) => {
  if (listening) return;
  console.error(`port ${port} is taken`);
  process.exit(1);
});
