// A headless Chromium: `node chromium.js <executable> <folder for whatever it writes> [<flag> ...]`.
// Each line of standard input is {"do": ..., "tab": ..., ...}; each line of standard output its {"result"} or {"error"}.

const readline = require("readline")
const path = require("path")
const { chromium } = require("../node/node_modules/playwright-core")

const [executablePath, folder, ...flags] = process.argv.slice(2)
const cdn = path.join(__dirname, "../node/node_modules/pusher-js-8/dist/web/pusher.min.js")
const tabs = new Map()

Object.assign(process.env, { HOME: folder, TMPDIR: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder })

const commands = {
  // The one thing that pages load from elsewhere is pusher-js from its CDN: they get it from npm's package instead.
  async open(browser, { tab, url, scheme }) {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 900, height: 600 } })
    const page = await context.newPage()
    const heard = { errors: [], answers: [] }
    page.on("pageerror", (error) => heard.errors.push(String(error)))
    page.on("console", (message) => message.type() === "error" && heard.errors.push(message.text()))
    page.on("response", (answer) => heard.answers.push({ url: answer.url(), status: answer.status() }))
    await page.route("https://js.pusher.com/**", (route) => route.fulfill({ path: cdn }))
    tabs.set(tab, { context, page, heard })
    await page.goto(url)
  },

  async until(browser, { tab, expression, seconds }) {
    const happened = await tabs.get(tab).page.waitForFunction(expression, undefined, { timeout: seconds * 1000 })
    return happened.jsonValue()
  },

  async heard(browser, { tab }) {
    return tabs.get(tab).heard
  },

  async close(browser, { tab }) {
    await tabs.get(tab).context.close()
    tabs.delete(tab)
  },
}

const main = async () => {
  const browser = await chromium.launch({ executablePath, args: flags })
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: command, ...rest } = JSON.parse(line)
    if (command === "quit") break
    const answer = await commands[command](browser, rest).then(
      (result) => ({ result }),
      (error) => ({ error: error.message }),
    )
    process.stdout.write(JSON.stringify(answer) + "\n")
  }
  await browser.close()
  process.exit(0)
}

main()
