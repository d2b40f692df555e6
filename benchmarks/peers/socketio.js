// socket.io 4 with laravel-echo-server's dialect and the cheapest HTTP API there can be: it checks nothing, asks nobody.
// Tuned as socket.io's page "Performance tuning" says: bufferutil is installed, the opening request is let go of, frames
// are not deflated. Usage: node socketio.js PORT
"use strict";

const { createServer } = require("http");
const { Server } = require("socket.io");

const port = Number(process.argv[2]);
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const { name, channel, data } = JSON.parse(Buffer.concat(chunks).toString());
    io.to(channel).emit(name, channel, JSON.parse(data));
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 2 }).end("{}");
  });
});
const io = new Server(server, { serveClient: false, perMessageDeflate: false, httpCompression: false });

io.engine.on("connection", (connection) => {
  connection.request = null;
});
io.on("connection", (socket) => {
  socket.on("subscribe", ({ channel }) => socket.join(channel));
  socket.on("unsubscribe", ({ channel }) => socket.leave(channel));
});

server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, "127.0.0.1", 511);
