// Pages that are not the server's own: of another origin, and of people who have to sign in.
import assert from 'node:assert/strict'
import { throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Meddler, through } from './lines.mjs'
import { Person } from './person.mjs'
import { until } from './server.mjs'
import { Site } from './site.mjs'

const SLOW = { up: 6 * MIB, latency: 20 }

/** A page with the element on it, and what more its site has. */
const page = (server, more = '') => `<!doctype html>
<html lang="en"><title>Somebody's page</title>
<link rel="icon" href="data:,">
<main><h1>Send us your files</h1>
<script src="${server}/ui/onward.min.js"></script>
<onward-upload endpoint="${server}/upload" multiple></onward-upload>
${more}</main></html>`

/** As docs/how-to/ui.md says. `'none'` for all that is not named. */
const policyOf = (server) =>
  `default-src 'none'; img-src data:; script-src ${server} 'self'; connect-src ${server}; worker-src blob: ${server}`

/** Notes from now on in which states uploads are. */
function watchStates(person) {
  return person.page.evaluate(() => {
    window.__states = []
    document.addEventListener('onward-state', ({ detail }) => window.__states.push(detail.to))
  })
}

async function anotherSite(stage) {
  const { server, files, visit } = stage
  const file = files.random('another-site.bin', 10 * MIB)
  return through(await Meddler.to(server.port), async (proxy) =>
    through(await Site.with({ '/': page(proxy.url) }, policyOf(proxy.url)), async (site) => {
      visit.origins.push(proxy.url, site.url)
      const digests = []
      proxy.rule = (request) => {
        if (request.method === 'PUT') digests.push(request.headers['content-digest'])
        return null
      }
      const person = new Person(await visit.open(site.url))
      await throttle(person.page, SLOW)
      await person.pick(file)
      await person.reachesPercent(file, 40)
      const workers = person.page.workers().length
      await person.page.reload()
      await person.reaches(file, 'needs-file')
      await watchStates(person)
      await person.pick(file)
      const figures = await person.isDone(file, server)
      const states = await person.page.evaluate(() => window.__states)
      assert.ok(states.includes('uploading') && states.includes('verifying'), String(states))
      assert.ok(digests.length > 4 && digests.every((digest) => digest?.startsWith('sha-256=')))
      assert.ok(workers > 0, 'it hashes in workers')
      return { ...figures, states, workers, digests: digests.length }
    }),
  )
}

/** Its policy allows no workers of the page's own: the same without them. */
async function noWorkers(stage) {
  const { server, files, visit } = stage
  const file = files.random('no-workers.bin', 3 * MIB)
  const policy = policyOf(server.url).replace(/worker-src .*/, "worker-src 'none'")
  return through(await Site.with({ '/': page(server.url) }, policy), async (site) => {
    visit.origins.push(site.url)
    const person = new Person(await visit.open(site.url))
    await person.pick(file)
    const figures = await person.isDone(file, server)
    const forbidden = await person.page.evaluate(() => window.__seen.violations.splice(0))
    assert.ok(
      forbidden.every((violation) => violation.startsWith('worker-src')),
      String(forbidden),
    )
    return { ...figures, forbidden: forbidden.length }
  })
}

/** Tokens last for a while; the page gets a new one where the person is still signed in. */
const SIGNED_IN = `
const element = document.querySelector('onward-upload')
window.renewals = 0
window.signedIn = true
let token = 'first'
element.options = {
  chunkSize: 512 * 1024,
  async headers({ refresh }) {
    if (refresh) {
      window.renewals += 1
      await new Promise((resolve) => setTimeout(resolve, 100))
      if (window.signedIn) token = 'second'
    }
    return { Authorization: 'Bearer ' + token }
  },
}`

async function signedIn(stage) {
  const { server, files, visit } = stage
  const [file, other] = [files.random('token.bin', 10 * MIB), files.random('token-twice.bin', 6 * MIB)]
  return through(await Meddler.to(server.port), async (proxy) => {
    const parts = { '/': page(proxy.url, '<script src="/page.js"></script>'), '/page.js': SIGNED_IN }
    return through(await Site.with(parts, policyOf(proxy.url)), async (site) => {
      visit.origins.push(proxy.url, site.url)
      let good = 'first'
      // The token runs out with the sixth chunk from now.
      let next = { after: 6, token: 'second' }
      const cors = { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'application/problem+json' }
      const seen = { refused: 0, naked: 0 }
      proxy.rule = (request) => {
        if (!request.url.startsWith('/upload') || request.method === 'OPTIONS') return null
        if (request.method === 'PUT' && --next.after === 0) good = next.token
        const given = request.headers.authorization
        seen.naked += given === undefined ? 1 : 0
        if (given === `Bearer ${good}` || (request.method === 'HEAD' && given)) return null
        seen.refused += 1
        return { status: 401, headers: cors, body: '{"code": "unauthorized"}' }
      }
      const person = new Person(await visit.open(site.url))
      await throttle(person.page, SLOW)
      await person.pick(file)
      const figures = await person.isDone(file, server)
      const once = { 'refused once': seen.refused, renewals: await person.page.evaluate(() => window.renewals) }
      assert.ok(once['refused once'] > 0)
      assert.equal(once.renewals, 1)
      assert.equal(seen.naked, 0, 'each request has its token')

      await person.page.evaluate(() => {
        window.signedIn = false
      })
      next = { after: 6, token: 'third' }
      await person.pick(other)
      await person.reaches(other, 'failed')
      const sentence = await person.sentence(other)
      assert.match(sentence, /not signed in/)
      const stored = await server.received(other.name)
      assert.ok(stored > 0)
      good = 'second' // the person has signed in again
      await person.press('Try again', other)
      await until('it goes on', async () => (await person.state(other)) !== 'failed')
      const again = await person.isDone(other, server)
      return { ...figures, ...once, 'after signing in': again.resent, said: sentence }
    })
  })
}

/** Bytes come about while they are sent, by an uploader that the page has made; nobody knows how many there will be. */
async function fromAStream(stage) {
  const { server, visit } = stage
  return through(await Site.with({ '/': page(server.url) }, policyOf(server.url)), async (site) => {
    visit.origins.push(site.url)
    const person = new Person(await visit.open(site.url))
    const file = { name: 'recording.bin', size: 5 * MIB + 7 }
    await person.page.evaluate(
      async ({ name, size, endpoint }) => {
        const element = document.querySelector('onward-upload')
        element.uploader = window.Onward.createUploader({ endpoint, chunkSize: 512 * 1024 })
        const bytes = new Uint8Array(size)
        for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536))
        let at = 0
        const stream = new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setTimeout(resolve, 30))
            const end = Math.min(size, at + 200_000)
            if (at === end) return controller.close()
            controller.enqueue(bytes.slice(at, end))
            at = end
          },
        })
        window.__bytes = bytes
        await element.add(stream, { name })
      },
      { ...file, endpoint: `${server.url}/upload` },
    )
    await person.reaches(file, 'uploading')
    await person.reads('keep this page open')
    const bar = person.row(file).getByRole('progressbar')
    assert.equal(await bar.getAttribute('aria-valuenow'), null)
    await person.isAccessible('a stream is sent')
    file.sha256 = await person.page.evaluate(async () => {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', window.__bytes))
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
    })
    const figures = await person.isDone(file, server)
    assert.equal(await bar.getAttribute('aria-valuenow'), '100')
    return { ...figures, sentence: await person.sentence(file) }
  })
}

export const SITES = {
  'from a stream': fromAStream,
  'another site': anotherSite,
  'no workers': noWorkers,
  'signed in': signedIn,
}
