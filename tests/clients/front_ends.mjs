// Plays front-ends of others in one Chromium: node front_ends.mjs CHROMIUM
// A line of JSON in, {number, page, target, file, library, …}: what its page came to, a line of JSON with that number
// out. Pages are played side by side.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'

const here = fileURLToPath(new URL('.', import.meta.url))
const types = { html: 'text/html', js: 'text/javascript' }
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

// Those that come as modules alone are put together as their users do.
async function bundle(name) {
  const built = await build({
    entryPoints: [join(here, `bundle_${name}.js`)],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'OnwardTest',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'silent',
  })
  return built.outputFiles[0].contents
}
const bundles = { '/bundle/uppy.js': await bundle('uppy'), '/bundle/uploady.js': await bundle('uploady') }

// The pages come from another origin than the server that is uploaded to.
const pages = createServer(async (request, response) => {
  const path = normalize(new URL(request.url, 'http://pages').pathname)
  try {
    const file = path.startsWith('/lib/') ? join(here, 'node_modules', path.slice(5)) : join(here, 'pages', path)
    const found = bundles[path] ?? (await readFile(file))
    response.writeHead(200, { 'Content-Type': types[path.split('.').at(-1)] ?? 'application/octet-stream' })
    response.end(found)
  } catch {
    response.writeHead(404).end()
  }
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${pages.address().port}`

const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--headless=new', ...flags] })

async function play({ number, page: name, target, file, revert, ...options }) {
  const context = await browser.newContext()
  const page = await context.newPage()
  const faults = []
  page.on('pageerror', (error) => faults.push(String(error)))
  try {
    await page.goto(`${origin}/${name}.html`)
    // A page that fails before it is asked how it went is no fault of the page.
    await page.evaluate(
      ([url, more]) => {
        window.start(url, more)
        window.finished.catch(() => {})
      },
      [target, options],
    )
    await page.locator('input[type=file]').setInputFiles(file)
    const done = await page.evaluate(() => window.finished)
    if (revert) Object.assign(done, await page.evaluate(() => window.revert()))
    return { number, ...done, faults }
  } catch (error) {
    return { number, error: String(error), faults }
  } finally {
    await context.close()
  }
}

console.log(JSON.stringify({ origin }))
const playing = new Set()
for await (const line of createInterface({ input: process.stdin })) {
  const one = play(JSON.parse(line)).then((told) => {
    console.log(JSON.stringify(told))
    playing.delete(one)
  })
  playing.add(one)
}
await Promise.all(playing)
await browser.close()
pages.close()
