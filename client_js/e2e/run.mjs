// node e2e/run.mjs [NAME…]: what befalls people who upload, in Chromium against a real `onward serve`.
// With --listen, names come line by line on standard input, and each result goes as a line of JSON to standard output.
// With --deep, everything is as long and as much as in life.
import { createInterface } from 'node:readline'
import { launch, Visit } from './browser.mjs'
import { Files } from './files.mjs'
import { SCENARIOS } from './scenarios.mjs'
import { LINES } from './scenarios-lines.mjs'
import { PAGE } from './scenarios-page.mjs'
import { RETURNS } from './scenarios-return.mjs'
import { SITES } from './scenarios-sites.mjs'
import { OnwardServer } from './server.mjs'

const ALL = { ...SCENARIOS, ...RETURNS, ...SITES, ...LINES, ...PAGE }
const options = process.argv.slice(2)
const deep = options.includes('--deep')
const named = options.filter((option) => !option.startsWith('--'))
const STRICT = ['--max-size', '2MiB', '--hooks', 'tests.integration.deny_hooks:NoPages']

let strict
const [server, browser] = await Promise.all([OnwardServer.start('--demo'), launch()])
const files = new Files()

async function play(name) {
  const scenario = ALL[name]
  if (!scenario) return { name, ok: false, error: `there is no ${name}` }
  const visit = await Visit.begin(browser, server.url)
  const stage = { visit, server, files, deep, strict: () => (strict ??= OnwardServer.start(...STRICT)) }
  const began = Date.now()
  try {
    const figures = await scenario(stage)
    const { longTasks, violations } = await visit.seen()
    const wrong = [
      ...visit.strangers.map((url) => `a request to a stranger: ${url}`),
      ...visit.errors.map((error) => `an error on the page: ${error}`),
      ...violations.map((violation) => `forbidden by the page's policy: ${violation}`),
    ]
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
    return { name, ok: true, seconds: (Date.now() - began) / 1000, 'long tasks': longTasks, ...figures }
  } catch (error) {
    const pages = await Promise.all(visit.context.pages().map((page) => page.innerText('body').catch(String)))
    return { name, ok: false, seconds: (Date.now() - began) / 1000, error: error.stack, pages, log: tail(server.log) }
  } finally {
    await visit.close()
  }
}

const tail = (text) => text.split('\n').slice(-15).join('\n')

try {
  if (options.includes('--listen')) {
    console.log(JSON.stringify({ ready: true }))
    for await (const name of createInterface({ input: process.stdin })) console.log(JSON.stringify(await play(name)))
  } else {
    for (const name of named.length > 0 ? named : Object.keys(ALL)) {
      const { name: _, ok, error, pages, log, ...figures } = await play(name)
      console.log(`${ok ? 'ok ' : 'BAD'} ${name}: ${JSON.stringify(figures)}`)
      if (!ok) console.log(`${error}\n--- the page\n${pages?.join('\n---\n')}\n--- the server\n${log}`)
      if (!ok) process.exitCode = 1
    }
  }
} finally {
  await browser.close()
  await server.remove()
  await (await strict)?.remove()
  files.remove()
}
