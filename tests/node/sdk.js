// An application that publishes with Pusher's own Node SDK: `node sdk.js <port> <app id> <key> <secret> [master key]`.
// Each line of standard input is {"call": "trigger", "arguments": [...]}; each line of standard output its answer.

const readline = require("readline")
const Pusher = require("pusher")

const [port, appId, key, secret, masterKey] = process.argv.slice(2)
const encryption = masterKey ? { encryptionMasterKeyBase64: masterKey } : {}
const application = new Pusher({ appId, key, secret, host: "127.0.0.1", port, useTLS: false, ...encryption })

const answer = async ({ call, arguments: given }) => {
  try {
    const response = await application[call](...given)
    return { status: response.status, body: await response.text() }
  } catch (error) {
    if (error.status === undefined) throw error
    return { status: error.status, body: error.body }
  }
}

const main = async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n")
  }
}

main()
