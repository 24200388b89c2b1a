// What a page may lack: a file that the server refuses beside others, a part of the page that cannot be loaded.
import assert from 'node:assert/strict'
import { MIB } from './files.mjs'
import { Person } from './person.mjs'
import { until } from './server.mjs'

const SAID = {
  en: [/larger than 2\.1 MB, the most that this server takes/, /does not take this file.*web pages are not taken/],
  de: [/größer als 2,1 MB, mehr nimmt dieser Server nicht an/, /nimmt diese Datei nicht.*web pages are not taken/],
}

export async function refused(stage) {
  const { files, visit } = stage
  const server = await stage.strict()
  visit.origins.push(server.url)
  const person = new Person(await visit.open(`${server.url}/ui/`))
  const large = files.random('large.bin', 3 * MIB)
  const web = files.random('page.html', 1000)
  const fine = files.random('fine.bin', MIB)
  await person.pick(large, web, fine)
  await person.reaches(large, 'failed')
  await person.reaches(web, 'failed')
  await person.isDone(fine, server)
  const figures = {}
  for (const [lang, [tooLarge, byType]] of Object.entries(SAID)) {
    if (lang !== 'en') await person.page.getByLabel('Language').selectOption(lang)
    const said = { 'too large': [large, tooLarge], 'by its type': [web, byType] }
    for (const [why, [file, expected]] of Object.entries(said)) {
      figures[`${lang}, ${why}`] = await until(`${file.name} says so in ${lang}`, async () => {
        const sentence = await person.sentence(file)
        return expected.test(sentence) && sentence
      })
    }
  }
  return figures
}

/** Parts that are loaded later, with the work that is done where they lack. */
const PARTS = ['uploads', 'task', 'follow', 'call', 'chunk', 'xhr', 'hasher', 'worker', 'manifest', 'answers', 'idb']

export async function blockedParts(stage) {
  const figures = {}
  const parts = stage.deep ? PARTS : ['uploads', 'task', 'worker']
  await Promise.all(
    parts.map(async (part) => {
      figures[part] = await withoutPart(stage, part)
    }),
  )
  return figures
}

async function withoutPart({ visit, server, files }, part) {
  const file = files.random(`without-${part}.bin`, MIB)
  const page = await visit.context.newPage()
  let blocked = 0
  const assets = new RegExp(`/assets/${part}-[^/]*\\.js$`)
  await page.route(assets, (route) => {
    blocked += 1
    return route.abort()
  })
  await page.goto(`${server.url}/ui/`)
  const person = new Person(page)
  await person.pick(file)
  const told = await until(`${part} lacks and something is said, or it is done`, async () => {
    const notice = page.locator('onward-upload .notice')
    if (await notice.isVisible()) return notice.innerText()
    const row = person.row(file)
    if ((await row.count()) === 0) return null
    const state = await person.state(file)
    // Without what follows the server's work, it stays at what is known: all bytes are there.
    const rests = part === 'follow' ? ['verifying'] : ['done', 'failed', 'waiting']
    return rests.includes(state) && `${state}: ${await person.sentence(file)}`
  })
  assert.ok(blocked > 0, `${part} was never asked for`)
  assert.ok(told.startsWith('done') || /^[A-Za-z: ]{20,}/.test(told), `${part}: ${told}`)
  // With the part it goes well, at the latest when the file is chosen again.
  await page.unroute(assets)
  const known = async () => (await person.row(file).count()) > 0 && person.state(file)
  if (!(await known())) await person.pick(file)
  else if ((await known()) === 'failed') await person.press('Try again', file)
  await until(`${part} is there again`, async () => (await known()) === 'done')
  await person.isDone(file, server)
  return told
}
