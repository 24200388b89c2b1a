// What befalls people who upload. Each case ends in success, or in a sentence that a person understands.
import assert from 'node:assert/strict'
import { throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Line, Meddler, through } from './lines.mjs'
import { Person } from './person.mjs'
import { hugeFile, manyFiles, offline } from './scenarios-many.mjs'
import { blockedParts, refused } from './scenarios-parts.mjs'
import { sleep, until } from './server.mjs'

const SLOW = { up: 6 * MIB, latency: 20 }
const isChunk = (request) => request.method === 'PUT' || request.method === 'POST' || request.method === 'PATCH'

async function atThePage({ visit, server }, url = server.url) {
  const page = await visit.open(`${url}/ui/`)
  return new Person(page)
}

async function plain(stage) {
  const { server, files } = stage
  const file = files.random('plain.bin', 10 * MIB)
  const person = await atThePage(stage)
  await throttle(person.page, SLOW)
  await person.isAccessible('nothing is there')
  await person.pick(file)
  await person.reaches(file, 'uploading')
  const stop = await person.watchProgress(file)
  await person.isAccessible('it uploads')
  const figures = await person.isDone(file, server)
  await person.isAccessible('it is done')
  const samples = await stop()
  await until('the page shows the digest', async () =>
    (await person.row(file).innerText()).replace(/\s/g, '').includes(file.sha256),
  )
  return { ...figures, samples, requests: stage.visit.requests }
}

async function serverKilled(stage) {
  const { server, files } = stage
  const file = files.random('killed.bin', 10 * MIB)
  const person = await atThePage(stage)
  await throttle(person.page, SLOW)
  await person.pick(file)
  await person.reachesPercent(file, 30)
  await server.kill()
  await person.reaches(file, 'waiting')
  await server.run()
  return person.isDone(file, server)
}

async function reload(stage) {
  const { server, files } = stage
  const file = files.random('reload.bin', 10 * MIB)
  const other = files.another(file)
  return through(await Meddler.to(server.port), async (proxy) => {
    stage.visit.origins.push(proxy.url)
    let sent = 0
    proxy.rule = (request, size) => {
      if (request.method === 'PUT') sent += size
    }
    const person = await atThePage(stage, proxy.url)
    await throttle(person.page, SLOW)
    await person.pick(file)
    await person.reachesPercent(file, 50)
    const stored = await server.received(file.name)
    await person.page.reload()
    await person.reaches(file, 'needs-file')
    const shown = await person.percent(file)
    assert.ok(shown >= 25, `${shown} % are shown`) // what the page remembers is half a second old
    await person.reads('One upload is not finished')
    await person.isAccessible('a file is asked for')
    await person.pick(other)
    await person.reads('That is another file')
    assert.equal(await person.state(file), 'needs-file')
    sent = 0
    await person.pick(file)
    const figures = await person.isDone(file, server)
    assert.ok(sent <= file.size - stored, `${sent} bytes were sent although ${stored} were stored`)
    return { ...figures, 'stored before': kib(stored), 'sent after': kib(sent) }
  })
}

async function sleepingLaptop(stage) {
  const { server, files, visit } = stage
  const file = files.random('sleep.bin', 10 * MIB)
  return through(await Line.to(server.port), async (line) => {
    visit.origins.push(line.url)
    if (!stage.deep) await visit.context.clock.install()
    const person = await atThePage(stage, line.url)
    await throttle(person.page, SLOW)
    await person.pick(file)
    await person.reachesPercent(file, 30)
    line.fallAsleep()
    // The page's clock jumps as that of a laptop does whose lid was shut.
    await (stage.deep ? sleep(60_000) : visit.context.clock.fastForward(60_000))
    line.wake()
    const woken = Date.now()
    if (!stage.deep) {
      // A connection that had nothing to do died as well, and is found out in its turn.
      await sleep(2_000)
      await visit.context.clock.fastForward(3_000)
    }
    const figures = await person.isDone(file, server)
    return { ...figures, 'done after waking': `${Date.now() - woken} ms`, connections: line.connections }
  })
}

async function fileEdited(stage) {
  const { server, files } = stage
  const file = files.random('edited.bin', 16 * MIB)
  const person = await atThePage(stage)
  await throttle(person.page, SLOW)
  await person.pick(file)
  await person.reachesPercent(file, 15)
  files.random(file.name, file.size)
  await person.reaches(file, 'failed')
  const sentence = await person.sentence(file)
  assert.match(sentence, /changed on your disk|cannot read the file/)
  await person.isAccessible('it has failed')
  const left = (await server.uploads()).find((upload) => upload.name === file.name)
  assert.notEqual(left?.state, 'done')
  return { said: sentence }
}

async function twoTabs(stage) {
  const { server, files } = stage
  const file = files.random('tabs.bin', 10 * MIB)
  const first = await atThePage(stage)
  await throttle(first.page, SLOW)
  await first.pick(file)
  await first.reachesPercent(file, 20)
  const second = await atThePage(stage)
  await second.pick(file)
  const state = await second.reaches(file, 'elsewhere', 'uploading', 'done')
  const sentence = await second.sentence(file)
  const figures = await first.isDone(file, server)
  await second.reaches(file, 'done')
  const copies = (await server.uploads()).filter((upload) => upload.name.startsWith('tabs'))
  assert.ok(copies.every((upload) => upload.state === 'done'))
  return { ...figures, second: `${state}: ${sentence}`, 'files on the server': copies.length }
}

async function proxyLimit(stage) {
  const { server, files } = stage
  const file = files.random('limit.bin', 6 * MIB)
  return through(await Meddler.to(server.port), async (proxy) => {
    stage.visit.origins.push(proxy.url)
    proxy.rule = (request, size) =>
      isChunk(request) && size > MIB / 2
        ? { status: 413, headers: { 'Content-Type': 'text/html' }, body: '<h1>413 Request Entity Too Large</h1>' }
        : null
    const person = await atThePage(stage, proxy.url)
    await person.pick(file)
    const figures = await person.isDone(file, server)
    return { ...figures, 'refused with 413': proxy.done.length }
  })
}

async function signedOut(stage) {
  const { server, files } = stage
  const file = files.random('session.bin', 6 * MIB)
  return through(await Meddler.to(server.port), async (proxy) => {
    stage.visit.origins.push(proxy.url)
    const person = await atThePage(stage, proxy.url)
    await throttle(person.page, SLOW)
    await person.pick(file)
    await person.reachesPercent(file, 30)
    proxy.rule = (request) => (isChunk(request) ? { status: 401, body: '' } : null)
    await person.reaches(file, 'failed')
    const sentence = await person.sentence(file)
    assert.match(sentence, /not signed in/)
    proxy.rule = () => null
    await person.press('Try again', file)
    await until('it is tried again', async () => (await person.state(file)) !== 'failed')
    return { ...(await person.isDone(file, server)), said: sentence }
  })
}

async function damagedOnTheWay(stage) {
  const { server, files } = stage
  const file = files.random('damaged.bin', 6 * MIB)
  return through(await Meddler.to(server.port), async (proxy) => {
    stage.visit.origins.push(proxy.url)
    let left = 3
    proxy.rule = (request, size) => {
      if (!isChunk(request) || size < MIB / 8 || left === 0) return null
      left -= 1
      return { flip: Math.floor(size / 2) }
    }
    const person = await atThePage(stage, proxy.url)
    await person.pick(file)
    const figures = await person.isDone(file, server)
    assert.equal(proxy.done.length, 3)
    return { ...figures, 'bytes flipped': 3 }
  })
}

async function keyboard(stage) {
  const { server, files } = stage
  const file = files.random('keyboard.bin', 6 * MIB)
  // The dialog of the operating system is not the page's; the one that a driver can answer stands in for it.
  await stage.visit.context.addInitScript(() => delete window.showOpenFilePicker)
  const person = await atThePage(stage)
  const { page } = person
  await throttle(page, { up: 2 * MIB, latency: 20 })
  const tabTo = async (name) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate(() => {
        let element = document.activeElement
        while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
        return element?.getAttribute('aria-label') ?? element?.innerText ?? ''
      })
      if (focused.includes(name)) return presses + 1
    }
    throw new Error(`Tab never came to ${name}`)
  }
  const dialog = page.waitForEvent('filechooser')
  const presses = await tabTo('Choose files')
  await page.keyboard.press('Enter')
  await (await dialog).setFiles(file.path)
  await person.reachesPercent(file, 20)
  await tabTo(`Pause: ${file.name}`)
  await page.keyboard.press('Enter')
  await person.reaches(file, 'paused')
  await tabTo(`Resume: ${file.name}`)
  await throttle(page, SLOW)
  await page.keyboard.press('Space')
  return { ...(await person.isDone(file, server)), 'Tabs to the button': presses }
}

async function faultBench(stage) {
  const { server, files } = stage
  const file = files.random('bench.bin', 10 * MIB)
  const person = await atThePage(stage)
  await throttle(person.page, SLOW)
  const set = async (faults) =>
    (await fetch(`${server.url}/ui/faults`, { method: 'PUT', body: JSON.stringify(faults) })).json()
  await set({ fail: 0.25, drop: 0.25, delay_ms: 30 })
  try {
    await person.pick(file)
    const figures = await person.isDone(file, server)
    const { failed, dropped } = await set({})
    assert.ok(failed + dropped > 0)
    return { ...figures, 'faults survived': `${failed} answered 503, ${dropped} cut` }
  } finally {
    await set({})
  }
}

const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`

export const SCENARIOS = {
  plain,
  offline,
  'server killed': serverKilled,
  reload,
  'sleeping laptop': sleepingLaptop,
  'file edited': fileEdited,
  'two tabs': twoTabs,
  'limit of a proxy': proxyLimit,
  'signed out': signedOut,
  'damaged on the way': damagedOnTheWay,
  'many files': manyFiles,
  'huge file': hugeFile,
  refused,
  'blocked parts': blockedParts,
  keyboard,
  'fault bench': faultBench,
}
