// The page itself: what it shows of an upload, in both languages and on a phone, and what whoever runs the server sees.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Meddler } from './lines.mjs'
import { Person } from './person.mjs'
import { OnwardServer, until } from './server.mjs'

const PHONE = { width: 390, height: 844 }
const DESK = { width: 1280, height: 900 }
const TOKEN = 'only-the-operator-knows'
const CHUNK = MIB
const run = promisify(execFile)

/** In each width and scheme that people have. */
async function accessible(person, when) {
  const { page } = person
  for (const [size, colorScheme] of [
    [DESK, 'light'],
    [PHONE, 'dark'],
  ]) {
    await page.setViewportSize(size)
    await page.emulateMedia({ colorScheme })
    await person.isAccessible(`${when}, ${colorScheme}, ${size.width} wide`)
    const { scrollWidth } = await page.evaluate(() => document.documentElement)
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    assert.ok(tooWide <= 0, `${when}: ${tooWide} px too wide for ${size.width} (${scrollWidth})`)
  }
  await page.setViewportSize(DESK)
  await page.emulateMedia({ colorScheme: null })
}

/** From now on: how far things jump that nobody has touched. The function that is returned ends it and fails on a jump. */
async function watchJumps(page) {
  await page.evaluate(() => {
    window.__seen.jumps = []
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput, sources } of list.getEntries()) {
        const moved = sources.map(({ node }) => node?.className || node?.nodeName)
        if (!hadRecentInput) window.__seen.jumps.push({ value, moved })
      }
    }).observe({ type: 'layout-shift' })
  })
  return async (most) => {
    const jumps = await page.evaluate(() => window.__seen.jumps)
    const sum = jumps.reduce((total, { value }) => total + value, 0)
    assert.ok(sum <= most, `the page jumped by ${sum}: ${JSON.stringify(jumps)}`)
    return Number(sum.toFixed(4))
  }
}

/** Texts of the page that are still English although it speaks another language. */
function leftovers(page, words) {
  return page.evaluate((english) => {
    const found = []
    const look = (root) => {
      const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT)
      for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        if (node.shadowRoot) look(node.shadowRoot)
        const said = [
          node.nodeType === 3 && node.data,
          ...['aria-label', 'title'].map((name) => node.getAttribute?.(name)),
        ]
        for (const text of said) if (text && english.some((one) => text.includes(one))) found.push(text)
      }
    }
    look(document.body)
    return found
  }, words)
}

/** What the page says in English where its other words differ, without what is filled in. */
async function english() {
  const read = async (path) => (await import(path, { with: { type: 'json' } })).default
  const all = [
    ['../demo/words/en.json', '../demo/words/de.json'],
    ['../src/ui/i18n/en.json', '../src/ui/i18n/de.json'],
    ['../src/ui/i18n/en.uploads.json', '../src/ui/i18n/de.json'],
    ['../src/ui/i18n/en.details.json', '../src/ui/i18n/de.json'],
  ]
  const found = []
  for (const [ours, theirs] of all) {
    const [en, de] = await Promise.all([read(ours), read(theirs)])
    for (const text of Object.values(en)) {
      const longest = text
        .split(/\{\w+\}/)
        .sort((a, b) => b.length - a.length)[0]
        .trim()
      if (longest.length > 7 && !Object.values(de).some((one) => one.includes(longest))) found.push(longest)
    }
  }
  return found
}

async function insight(stage) {
  const proxy = await Meddler.to(stage.server.port)
  stage.visit.origins.push(proxy.url)
  try {
    return await looksInto(proxy, stage)
  } finally {
    await proxy.close()
  }
}

async function looksInto(proxy, stage) {
  const { server, files } = stage
  let puts = 0
  proxy.rule = (request) => (request.method === 'PUT' && ++puts === 2 ? { status: 503, headers: {}, body: '' } : null)
  const file = files.random('insight.bin', 8 * MIB)
  const person = new Person(await stage.visit.open(`${proxy.url}/ui/`))
  const { page } = person
  await throttle(page, { up: 4 * MIB, latency: 20 })
  await person.pick(file)
  await person.reachesPercent(file, 10)
  const still = await watchJumps(page)
  const tracks = page.locator('canvas.tracks')
  await until('a fault is told', async () => /[1-9] fault/.test(await page.locator('.times .map-summary').innerText()))
  await tracks.focus()
  await page.keyboard.press('Home')
  const told = await tracks.getAttribute('aria-valuetext')
  assert.match(told, /lane \d · .+ · (stored in|failed after) /)
  const cells = page.locator('canvas.cells')
  await cells.focus()
  await page.keyboard.press('Home')
  assert.match(await cells.getAttribute('aria-valuetext'), /^Piece 1: .+kB/)
  const jumped = await still(0.02)
  await person.press('Pause', file)
  await accessible(person, 'it rests, opened')
  await throttle(page, { up: 40 * MIB })
  await person.press('Resume', file)
  const figures = await person.isDone(file, server)
  await page.locator('.repeat summary').click()
  const snippets = await page.locator('.snippet code').allInnerTexts()
  await accessible(person, 'it is done, opened')
  await page.selectOption('#language', 'de')
  await page.getByText('Stücke nebeneinander').waitFor()
  await person.row(file).locator('.more').click()
  await page.locator('canvas.tracks').waitFor()
  assert.deepEqual(await leftovers(page, await english()), [])
  assert.doesNotMatch(await page.innerText('body'), /—/)
  return { ...figures, told, jumped, ...(await repeated(snippets, file, stage)) }
}

/** The commands that the page shows do what it says, in the folder of the file. */
async function repeated([curl, python], file, { server, files }) {
  const cwd = files.folder
  const { stdout: head } = await run('sh', ['-c', curl], { cwd })
  const { stdout: printed } = await run('python3', ['-c', python], { cwd })
  for (const url of [/^location: (.+)$/im.exec(head)?.[1], printed]) {
    const id = url.trim().split('/').at(-1)
    const whole = await until('it is published', async () => {
      const upload = await (await fetch(`${server.url}/uploads/${id}`)).json()
      return upload.state === 'done' && upload
    })
    assert.equal(whole.result.sha256, file.sha256)
  }
  return { repeated: 'by curl and by Python, SHA-256 equal' }
}

async function operator(stage) {
  const server = await OnwardServer.start('--token', TOKEN, '--delete-finished', 'allow')
  stage.visit.origins.push(server.url)
  try {
    return await watches(server, stage)
  } finally {
    await server.remove()
  }
}

async function watches(server, { visit, files }) {
  const store = async (name, number, more = {}) => {
    const headers = { 'Upload-Chunk-Size': String(CHUNK), 'Upload-Length': String(4 * CHUNK), ...more }
    const body = new Uint8Array(CHUNK)
    assert.ok((await fetch(`${server.url}/upload/${name}-${number}`, { method: 'POST', headers, body })).ok)
  }
  await store('oldest.bin', 1)
  for (let n = 0; n < 50; n += 1) {
    await fetch(`${server.url}/upload`, {
      headers: { 'Content-Type': 'application/json' },
      method: 'POST',
      body: JSON.stringify({ name: `many-${n}.bin`, size: CHUNK }),
    })
  }
  await store('holes.bin', 1)
  await store('holes.bin', 3)
  const page = await visit.open(`${server.url}/ui/#server`)
  const person = new Person(page)
  await page.getByLabel("Operator's token").fill('guessed')
  await page.keyboard.press('Enter')
  await person.reads('does not accept this token')
  await accessible(person, 'the token is asked for')
  await page.getByLabel("Operator's token").fill(TOKEN)
  await page.keyboard.press('Enter')
  const row = (name) => page.locator('li.entry', { has: page.getByText(name, { exact: true }) })
  await row('holes.bin').waitFor()
  const strip = await row('holes.bin')
    .locator('.entry-bar')
    .evaluate((bar) => getComputedStyle(bar).backgroundImage)
  assert.match(strip, /0%, .+25%.+25%.+50%.+50%.+75%.+75%/, 'the pieces are where they are')
  assert.match(await row('holes.bin').textContent(), /2\.1 MB of 4\.2 MB.*expires in 7 days/)
  await until('it is live', async () => (await page.locator('.server .pill').getAttribute('data-state')) === 'online')
  await person.reads('The newest 50 uploads')
  assert.equal(await row('oldest.bin').count(), 0)
  await page.getByRole('button', { name: 'Show older uploads' }).click()
  await row('oldest.bin').waitFor()
  await store('holes.bin', 2)
  await until('more of it is seen', async () => (await row('holes.bin').textContent()).includes('3.1 MB of 4.2 MB'))
  await accessible(person, 'everything is listed')
  const facts = await page.locator('.facts').innerText()
  assert.match(facts, /Room on the disk[\s\S]*Promised to uploads[\s\S]*Waiting to be finished[\s\S]*Coming in/)
  const cancel = page.getByRole('button', { name: 'Cancel: holes.bin', exact: true })
  await cancel.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Really cancel?: holes.bin', exact: true }).press('Enter')
  await until('it is cancelled', async () => (await row('holes.bin').textContent()).includes('Cancelled'))
  await page.getByRole('button', { name: 'Done', exact: true }).click()
  await person.reads('There is no such upload here')
  await page.getByRole('button', { name: 'All', exact: true }).click()
  await page.getByLabel('Name, owner or id').fill('OLDEST')
  await until('one is left', async () => (await page.locator('li.entry').count()) === 1)
  await server.kill()
  await until('the wait is told', async () => /Next try in/.test(await page.locator('.server .pill').innerText()))
  await server.run()
  await until('it is live again', async () => (await page.locator('.server .pill').innerText()) === 'Live')
  return { facts: facts.replaceAll('\n', ' '), ...(await deletes(server, page, files)) }
}

/** A finished file is deleted by the second click. */
async function deletes(server, page, files) {
  const file = files.random('deleted.bin', 1000)
  await page.goto(`${server.url}/ui/`)
  const person = new Person(page)
  await person.pick(file)
  await person.reaches(file, 'done')
  await page.getByRole('button', { name: `Delete ${file.name} on the server` }).click()
  await page.getByRole('button', { name: `Really delete? ${file.name}` }).click()
  await until('the row is gone', async () => (await person.row(file).count()) === 0)
  const headers = { Authorization: `Bearer ${TOKEN}` }
  const { uploads } = await (await fetch(`${server.url}/uploads?state=cancelled`, { headers })).json()
  assert.ok(uploads.some((upload) => upload.name === file.name && upload.kept === 0))
  return { deleted: file.name }
}

export const PAGE = {
  insight,
  operator,
}
