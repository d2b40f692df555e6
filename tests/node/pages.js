// Pages with a stock laravel-echo on a stock socket.io-client in each:
// `node pages.js <echo-1|echo-2> <sio-1|sio-2|sio-3|sio-4> <port> <transports, with commas> [tls]`.
// Takes commands as JSON lines on standard input and tells what each page sees as JSON lines on standard output.

const readline = require("readline")

const [echo, client, port, transports, tls] = process.argv.slice(2)
let Echo
const io = require(client)
const pages = new Map()

const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n")

// Bytes arrive as a Buffer or an ArrayBuffer, by the client's generation; what goes over the pipe is hexadecimal.
const plain = (data) => (data && data.bytes ? { ...data, bytes: Buffer.from(data.bytes).toString("hex") } : data)

const channelOf = (page, kind, name) => {
  const opened = pages.get(page)
  return kind === "presence" ? opened.join(name) : kind === "private" ? opened.private(name) : opened.channel(name)
}

const commands = {
  open({ page, headers }) {
    const opened = new Echo({
      broadcaster: "socket.io",
      client: io,
      host: `${tls === "tls" ? "https" : "http"}://127.0.0.1:${port}`,
      transports: transports.split(","),
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      auth: { headers },
    })
    pages.set(page, opened)
    const { socket } = opened.connector
    const state = (name) =>
      tell({ page, kind: "state", state: name, socket_id: opened.socketId(), recovered: socket.recovered || false })
    // Engine.IO of the connection that stands; told when the page is connected, and when it has changed over.
    const transport = () => tell({ page, kind: "transport", transport: socket.io.engine.transport.name })
    socket.on("connect", () => {
      state("connected")
      transport()
      socket.io.engine.once("upgrade", transport)
    })
    socket.on("disconnect", (reason) => tell({ page, kind: "state", state: "disconnected", reason }))
    socket.on("connect_error", (error) => tell({ page, kind: "failure", error: String(error) }))
    socket.on("subscription_error", (channel, status) => tell({ page, kind: "refused", channel, status }))
  },

  subscribe({ page, kind, channel, listen, whispers }) {
    const subscribed = channelOf(page, kind, channel)
    const event = (name) => (data) => tell({ page, kind: "event", channel, event: name, data: plain(data) })
    for (const name of listen) subscribed.listen(name, event(name))
    for (const name of whispers) subscribed.listenForWhisper(name, event(`client-${name}`))
    if (kind === "presence") {
      subscribed.here(event("here")).joining(event("joining")).leaving(event("leaving"))
    }
  },

  whisper({ page, kind, channel, event, data, bytes }) {
    channelOf(page, kind, channel).whisper(event, bytes ? { ...data, bytes: Buffer.from(bytes, "hex") } : data)
  },

  // What socket.io-client would offer if it came back.
  offset({ page }) {
    tell({ page, kind: "offset", offset: pages.get(page).connector.socket._lastOffset || null })
  },

  leave({ page, channel }) {
    pages.get(page).leave(channel)
  },

  close({ page }) {
    pages.get(page).disconnect()
    pages.delete(page)
  },
}

const obey = (line) => {
  const { do: command, ...rest } = JSON.parse(line)
  commands[command](rest)
}

const main = async () => {
  // laravel-echo 2 cannot be required in Node, and 1 cannot be imported without one more `default`.
  const { default: library } = await import(echo)
  Echo = library.default || library
  readline.createInterface({ input: process.stdin }).on("line", obey).on("close", () => process.exit(0))
}

main()
