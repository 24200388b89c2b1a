// node benchmarks/browser/bench.mjs [MIB] [ROUNDS]: one file from Chromium to a real server, by each client in turn.
// Uppy's XHR uploader sends it as one form; it, too, is stored, synced and hashed by the server.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { launch } from '../../client_js/e2e/browser.mjs'
import { Files, MIB } from '../../client_js/e2e/files.mjs'
import { OnwardServer, until } from '../../client_js/e2e/server.mjs'

const size = Number(process.argv[2] ?? 1024) * MIB
const rounds = Number(process.argv[3] ?? 2)
const { build } = createRequire(new URL('../../client_js/package.json', import.meta.url))('esbuild')
const entry = new URL('page.js', import.meta.url).pathname
const { outputFiles } = await build({ entryPoints: [entry], bundle: true, minify: true, write: false })
const PAGE = `<!doctype html><input type="file"><script src="/page.js"></script><script type="module">
import { createUploader } from '/dist/index.js'
window.Onward = { createUploader }
</script>`
const DIST = new URL('../../client_js/dist/', import.meta.url)

const server = await OnwardServer.start('--max-chunk', `${size + MIB}`)
const files = new Files()
const file = files.random('bench.bin', size)
const pages = createServer(async (request, response) => {
  if (request.url === '/') return response.setHeader('Content-Type', 'text/html').end(PAGE)
  response.setHeader('Content-Type', 'text/javascript')
  if (request.url === '/page.js') return response.end(outputFiles[0].text)
  const code = await readFile(new URL(request.url.slice('/dist/'.length), DIST)).catch(() => null)
  if (code === null) response.statusCode = 404
  response.end(code)
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
const browser = await launch()

const CLIENTS = {
  onward: ['onward'],
  'tus-js-client': ['tus'],
  'tus-js-client, chunks of 8 MiB': ['tus', 8 * MIB],
  'Uppy XHR, one form': ['uppy'],
}

let finished = 0

async function measure(label, [client, ...more], round) {
  const page = await browser.newPage()
  page.setDefaultTimeout(600_000)
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  await page.setInputFiles('input', file.path)
  const name = `${client}${more.join('')}${round}.bin`
  const took = await page.evaluate(
    async ([client, ...rest]) => {
      const began = performance.now()
      await window.run[client](...rest)
      return performance.now() - began
    },
    [client, server.url, name, ...more],
  )
  await page.close()
  if (client === 'uppy') {
    const body = JSON.stringify({ file_unique_name: name, total_chunks: 1, size })
    await fetch(`${server.url}/upload/complete`, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json' },
    })
  }
  finished += 1
  // Nothing is left of one run when the next begins; and each has really arrived.
  await until(`${label} is published`, async () => (await server.count('done', '')) === finished, 300_000)
  return took
}

try {
  const times = Object.fromEntries(Object.keys(CLIENTS).map((label) => [label, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [label, call] of Object.entries(CLIENTS)) times[label].push(await measure(label, call, round))
  }
  for (const [label, all] of Object.entries(times)) {
    const rates = all.map((ms) => Math.round(size / MIB / (ms / 1000)))
    console.log(`${label.padEnd(32)} ${rates.map((rate) => `${rate} MiB/s`).join('  ')}`)
  }
} finally {
  await browser.close()
  pages.close()
  await server.remove()
  files.remove()
}
