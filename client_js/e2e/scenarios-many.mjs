// What is much: ten thousand files at once, one of ten gigabytes, a minute without a network.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { heap, throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Meddler } from './lines.mjs'
import { Person } from './person.mjs'
import { sha256, sleep, until } from './server.mjs'

const SLOW = { up: 6 * MIB, latency: 20 }
const LONG = 200
const inMib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`

/** What all uploads of the page come to, without looking at the server. */
const counts = (page) => page.evaluate(() => document.querySelector('onward-upload').uploader.getSnapshot().counts)

/** Milliseconds until the page draws the next time: how long somebody who clicks would wait. */
const answersAfter = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const asked = performance.now()
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - asked)))
      }),
  )

async function atThePage({ visit, server }, url = server.url) {
  return new Person(await visit.open(`${url}/ui/`))
}

export async function manyFiles(stage) {
  const { server, files, visit } = stage
  const count = stage.deep ? 10_000 : 300
  const all = files.many('many', count, 2048)
  const person = await atThePage(stage)
  const { page } = person
  const before = await heap(page)
  const requests = visit.requests
  const began = Date.now()
  await person.pick(...all)
  const picked = Date.now() - began
  await until('all are listed', () =>
    page.evaluate((n) => document.querySelector('onward-upload').tasks.length === n, count),
  )
  const listed = Date.now() - began
  const early = await page.evaluate(() => window.__seen.longTasks.length)
  let slowest = 0
  await until(
    `${count} files are done`,
    async () => {
      const { done = 0, failed = 0 } = await counts(page)
      assert.equal(failed, 0)
      slowest = Math.max(slowest, await answersAfter(page))
      await sleep(done < count ? 250 : 0)
      return done === count
    },
    1_700_000,
  )
  const seconds = (Date.now() - began) / 1000
  const made = visit.requests - requests
  const longTasks = (await page.evaluate((from) => window.__seen.longTasks.slice(from), early)).filter(
    (ms) => ms > LONG,
  )
  const rows = await page.locator('onward-upload li.row').count()
  assert.ok(rows < 60, `${rows} rows are in the document`)
  const after = await heap(page)
  assert.ok(after - before < 4 * MIB + 4096 * count, `the heap grew from ${before} to ${after}`)
  // A row at the end of the list can be come to, and says that it is done.
  await page.locator('onward-upload .list').evaluate((list) => list.scrollTo(0, list.scrollHeight))
  await person.reaches(all[count - 1], 'done')
  const known = new Map((await server.uploads()).map((upload) => [upload.name, upload.state]))
  for (const file of all) {
    assert.equal(known.get(file.name), 'done')
    assert.equal(await sha256(join(server.data, 'files', file.name)), file.sha256)
  }
  return {
    files: count,
    'picked after': `${picked} ms`,
    'listed after': `${listed} ms`,
    'files a second': Number((count / seconds).toFixed(1)),
    'requests a file': Number((made / count).toFixed(2)),
    'long tasks after the adding': longTasks,
    'slowest answer of the page': `${Math.round(slowest)} ms`,
    'heap before': inMib(before),
    'heap after': inMib(after),
    'rows made': rows,
  }
}

export async function hugeFile(stage) {
  const { server, files } = stage
  const size = stage.deep ? 10 * 1024 * MIB : 256 * MIB
  const file = files.sparse('huge.bin', size)
  const person = await atThePage(stage)
  const { page } = person
  if (!stage.deep) await throttle(page, { up: 24 * MIB })
  const room = onDisk(server.data)
  const began = Date.now()
  await person.pick(file)
  await person.reaches(file, 'uploading')
  await until('something is stored', async () => (await server.received(file.name)) > 8 * MIB)
  const heaps = []
  let slowest = 0
  for (let samples = stage.deep ? 10 : 3; samples > 0; samples -= 1) {
    heaps.push(await heap(page))
    slowest = Math.max(slowest, await answersAfter(page))
    await sleep(stage.deep ? 3_000 : 600)
  }
  assert.ok(Math.max(...heaps) - heaps[0] < 8 * MIB, `the heap grew: ${heaps}`)
  const stored = await server.received(file.name)
  const rate = stored / ((Date.now() - began) / 1000)
  assert.ok(onDisk(server.data) - room > 8 * MIB)
  await person.press('Cancel', file)
  await person.press('Really cancel?', file)
  await person.reaches(file, 'cancelled')
  await until('the server has cancelled it', async () => {
    const known = (await server.uploads()).find((upload) => upload.name === file.name)
    return known?.state === 'cancelled'
  })
  await until('its bytes are freed', () => onDisk(server.data) - room < MIB)
  return {
    size: inMib(size),
    stored: inMib(stored),
    'a second': inMib(rate),
    heaps: heaps.map(inMib),
    'slowest answer of the page': `${Math.round(slowest)} ms`,
  }
}

/** Bytes that a folder takes on the disk, without the journal, whose log keeps the room it once had. */
function onDisk(folder) {
  const said = execFileSync('du', ['-sk', '--exclude=onward.db*', folder], { encoding: 'utf8' })
  return 1024 * Number(said.split('\t')[0])
}

export async function offline(stage) {
  const { server, files, visit } = stage
  const file = files.random('offline.bin', 10 * MIB)
  const proxy = await Meddler.to(server.port)
  try {
    visit.origins.push(proxy.url)
    let sent = 0
    proxy.rule = (request, size) => {
      if (request.method === 'PUT') sent += size
    }
    const person = await atThePage(stage, proxy.url)
    await throttle(person.page, SLOW)
    await person.pick(file)
    await person.reachesPercent(file, 25)
    await throttle(person.page, { offline: true })
    await person.reaches(file, 'waiting')
    const before = await person.percent(file)
    for (let second = stage.deep ? 60 : 4; second > 0; second -= 1) {
      await sleep(1000)
      assert.equal(await person.state(file), 'waiting')
      assert.match(await person.sentence(file), /nothing is lost/)
      assert.equal(await person.percent(file), before)
    }
    const said = await person.sentence(file)
    const stored = await server.received(file.name)
    sent = 0
    const back = Date.now()
    await throttle(person.page, SLOW)
    const figures = await person.isDone(file, server)
    assert.ok(sent <= file.size - stored, `${sent} bytes were sent although ${stored} were stored`)
    return {
      ...figures,
      'stored before': inMib(stored),
      'sent after': inMib(sent),
      'done after': `${Date.now() - back} ms`,
      said,
    }
  } finally {
    await proxy.close()
  }
}
