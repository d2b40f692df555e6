// Browser tabs with a stock pusher-js in each: `node tabs.js <pusher-js-8|pusher-js-7|pusher-js-4> <port> [tls]`.
// Takes commands as JSON lines on standard input and tells what each tab sees as JSON lines on standard output.
// The application's auth endpoints are played in here, by Pusher's own server SDK.

const readline = require("readline")
const Application = require("pusher")

const [library, port, tls] = process.argv.slice(2)
// The build with encryption is for browsers only; this is all that it wants of one.
if (library.endsWith("/with-encryption")) {
  const document = { body: {}, location: { protocol: "http:" } }
  Object.assign(globalThis, { window: globalThis, document, WebSocket: require("faye-websocket").Client })
}
const Pusher = require(library)
const tabs = new Map()

const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n")

const authorise = (application, presence) => (channel, socketId) =>
  application.authorizeChannel(socketId, channel, channel.startsWith("presence-") ? presence : undefined)

// pusher-js 4 knows only `authorizer`; 7.1 and later are given what their documentation asks for.
const asked = (sign, authenticate) =>
  library === "pusher-js-4"
    ? { authorizer: (channel) => ({ authorize: (socketId, answer) => answer(false, sign(channel.name, socketId)) }) }
    : {
        channelAuthorization: {
          customHandler: ({ channelName, socketId }, answer) => answer(null, sign(channelName, socketId)),
        },
        userAuthentication: { customHandler: ({ socketId }, answer) => answer(null, authenticate(socketId)) },
      }

// Presence members arrive as an object with methods; what a page reads of it goes over the pipe.
const plain = (data) =>
  data && data.members && data.me !== undefined ? { count: data.count, members: data.members, me: data.me } : data

const commands = {
  open({ tab, key, secret, presence, user, master_key }) {
    const encryption = master_key ? { encryptionMasterKeyBase64: master_key } : {}
    const application = new Application({ appId: "unused", key, secret, host: "127.0.0.1", ...encryption })
    const pusher = new Pusher(key, {
      cluster: "none",
      wsHost: "127.0.0.1",
      wsPort: Number(port),
      wssPort: Number(port),
      forceTLS: tls === "tls",
      encrypted: tls === "tls", // what 4 calls it
      enabledTransports: ["ws"],
      disableStats: true,
      ...asked(authorise(application, presence), (socketId) => application.authenticateUser(socketId, user)),
    })
    pusher.connection.bind("state_change", ({ current }) => {
      tell({ tab, kind: "state", state: current, socket_id: pusher.connection.socket_id })
    })
    // Some generations wrap what the server said once more.
    pusher.connection.bind("error", (error) => tell({ tab, kind: "error", error: (error.error || error).data }))
    tabs.set(tab, pusher)
  },

  subscribe({ tab, channel, listen = [] }) {
    const subscription = tabs.get(tab).subscribe(channel)
    const heard = (event) => (data, metadata) => {
      tell({ tab, kind: "event", channel, event, data: plain(data), user_id: metadata && metadata.user_id })
    }
    const internal = ["subscription_succeeded", "subscription_error", "member_added", "member_removed"]
    for (const event of [...internal.map((name) => `pusher:${name}`), ...listen]) subscription.bind(event, heard(event))
  },

  signin({ tab, listen = [] }) {
    const { connection, user } = tabs.get(tab)
    connection.bind("message", ({ event, data }) => {
      if (event === "pusher:signin_success") tell({ tab, kind: "signin", user: JSON.parse(data.user_data) })
    })
    for (const event of listen) user.bind(event, (data) => tell({ tab, kind: "user", event, data }))
    for (const name of ["online", "offline"]) {
      user.watchlist.bind(name, ({ user_ids }) => tell({ tab, kind: "watchlist", name, user_ids }))
    }
    tabs.get(tab).signin()
  },

  unsubscribe({ tab, channel }) {
    tabs.get(tab).unsubscribe(channel)
  },

  trigger({ tab, channel, event, data }) {
    tell({ tab, kind: "triggered", sent: tabs.get(tab).channel(channel).trigger(event, data) })
  },

  close({ tab }) {
    tabs.get(tab).disconnect()
    tabs.delete(tab)
  },
}

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { do: command, ...rest } = JSON.parse(line)
    commands[command](rest)
  })
  .on("close", () => process.exit(0))
