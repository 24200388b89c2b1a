import { describe, expect, test } from 'vitest'
import { Bodies } from '../../src/core/body.js'
import { Notifier } from '../../src/core/notifier.js'
import { sourceFrom } from '../../src/core/source.js'
import type { Source } from '../../src/core/types.js'
import { sourcesOf } from '../../src/env/inputs.js'
import { FakeClock, settle } from '../support/clock.js'
import { fileOf, nodeHasher, noise, World } from '../support/world.js'

const file = (name: string, path = '') => Object.assign(fileOf(name, noise(3)), { webkitRelativePath: path })

interface FakeEntry {
  isDirectory: boolean
  fullPath: string
  file?(resolve: (file: Source) => void): void
  createReader?(): { readEntries(resolve: (entries: FakeEntry[]) => void): void }
}
const fileEntry = (path: string): FakeEntry => ({
  isDirectory: false,
  fullPath: path,
  file: (resolve) => resolve(file(path.split('/').at(-1) ?? '')),
})
const folderEntry = (path: string, entries: FakeEntry[]): FakeEntry => ({
  isDirectory: true,
  fullPath: path,
  createReader() {
    const left = [...entries]
    return { readEntries: (resolve) => resolve(left.splice(0, 2)) } // as browsers: some at a time, then none
  },
})

/** What a drop carries; empty as soon as its event is over. */
function drop(items: { file: Source | null; entry?: FakeEntry }[]) {
  let over = false
  const transfer = {
    types: ['Files'],
    get items() {
      return items.map(({ file: one, entry }) => ({
        kind: 'file',
        getAsFile: () => (over ? null : one),
        webkitGetAsEntry: () => (over ? null : (entry ?? null)),
      }))
    },
    files: [],
  }
  return {
    event: { dataTransfer: transfer } as unknown as DragEvent,
    end: () => {
      over = true
    },
  }
}

const shown = (sources: Source[]) => sources.map((one) => sourceFrom(one).relativePath ?? one.name)

describe('what a person hands over', () => {
  test('chosen files, with their paths where a folder was chosen', async () => {
    expect(shown(await sourcesOf([file('a'), file('b', 'folder/b')]))).toEqual(['a', 'folder/b'])
  })

  test('a drop is read while its event lasts', async () => {
    const { event, end } = drop([{ file: file('a') }, { file: file('b') }])
    const reading = sourcesOf(event)
    end()
    expect(shown(await reading)).toEqual(['a', 'b'])
  })

  test('folders are walked through to their ends', async () => {
    const inner = folderEntry('/top/inner', [fileEntry('/top/inner/x')])
    const top = folderEntry('/top', [fileEntry('/top/1'), fileEntry('/top/2'), fileEntry('/top/3'), inner])
    const { event, end } = drop([{ file: null, entry: top }])
    const reading = sourcesOf(event)
    end()
    expect(shown(await reading)).toEqual(['top/1', 'top/2', 'top/3', 'top/inner/x'])
  })

  test('pasted files', async () => {
    const { event } = drop([{ file: file('image.png') }])
    const paste = { clipboardData: event.dataTransfer } as unknown as ClipboardEvent
    expect(shown(await sourcesOf(paste))).toEqual(['image.png'])
  })

  test('text that was pasted is no file', async () => {
    const transfer = { types: ['text/plain'], items: [{ kind: 'string' }], files: [] }
    expect(await sourcesOf({ clipboardData: transfer } as unknown as ClipboardEvent)).toEqual([])
  })
})

test('ten thousand small files: added and cancelled in steps that let the page live', async () => {
  const world = new World()
  const tab = world.tab()
  world.server.rules = [() => 'hang']
  let told = 0
  tab.subscribe(() => {
    told += 1
  })
  const steps: number[] = []
  tab.on('added', ({ tasks }) => steps.push(tasks.length))
  const adding = tab.add(Array.from({ length: 10_000 }, (_, at) => fileOf(`f${at}`, noise(1))))
  await settle()
  expect(tab.tasks).toHaveLength(200) // the rest waits until the page has had its turn
  while (tab.tasks.length < 10_000) await world.clock.pass(10)
  const tasks = await adding
  expect(Math.max(...steps)).toBe(200)
  await world.clock.pass(200)
  const { counts, totals } = tab.getSnapshot()
  expect(totals.total).toBe(10_000)
  expect(counts.preparing).toBe(4)
  expect(told).toBeLessThan(20)
  const cancelling = tab.cancelAll({ deleteOnServer: false })
  expect(tasks.filter((task) => task.state === 'cancelled')).toHaveLength(200)
  await world.clock.pass(1000)
  await cancelling
  expect(tab.getSnapshot().counts).toEqual({ cancelled: 10_000 })
  await world.end()
})

test('of many files the disk is asked in steps as well', async () => {
  const world = new World()
  const tab = world.tab()
  world.server.rules = [() => 'hang']
  let asked = 0
  const files = Array.from({ length: 1000 }, (_, at) => {
    const { slice } = fileOf('', noise(1))
    return {
      name: `f${at}`,
      get size() {
        asked += 1
        return 1
      },
      slice,
    }
  })
  const adding = tab.add(files)
  await settle()
  expect(asked).toBe(200)
  while (tab.tasks.length < 1000) await world.clock.pass(10)
  await adding
  expect(asked).toBe(1000)
  await world.end()
})

test('a page that takes long to show its uploads is told of them more rarely', async () => {
  const clock = new FakeClock()
  let spent = 0
  let told = 0
  const notifier = new Notifier({ now: () => clock.now() + spent, after: (ms, fn) => clock.after(ms, fn) }, () => false)
  notifier.add(() => {
    told += 1
    spent += 50
  })
  for (let at = 0; at < 200; at++) {
    notifier.mark()
    await clock.pass(10)
  }
  expect(told).toBeGreaterThan(3)
  expect(told).toBeLessThan(7) // 50 ms of each 400
  notifier.stop()
})

test('a small file is read once and whole', async () => {
  const blob = new Blob([noise(1000)])
  const source = sourceFrom(Object.assign(blob, { name: 'small' }))
  expect(source.slice(0, 1000)).toBe(blob)
  expect(await (source.slice(10, 20) as Blob).arrayBuffer()).toEqual(noise(1000).slice(10, 20).buffer)
  const { body, sha256 } = await new Bodies(nodeHasher, 'slice').make(source, 0, 1000)
  expect(body).toEqual(noise(1000))
  expect(sha256).toBe(await nodeHasher.digest(noise(1000)))
})
