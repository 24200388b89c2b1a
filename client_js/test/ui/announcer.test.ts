import { beforeEach, expect, test } from 'vitest'
import { Announcer, PACE, quarter } from '../../src/ui/announcer.js'
import { Words } from '../../src/ui/i18n/index.js'
import { News } from '../../src/ui/news.js'
import './english.js'
import { failure, ScriptedUploader } from './scripted.js'

class FakeClock {
  time = 0
  readonly #timers = new Set<{ at: number; run: () => void }>()
  now = () => this.time
  after = (ms: number, run: () => void) => {
    const timer = { at: this.time + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }
  pass(ms: number): void {
    const until = this.time + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (!next) break
      this.#timers.delete(next)
      this.time = next.at
      next.run()
    }
    this.time = until
  }
}

let clock: FakeClock
let said: [number, string][]
let announcer: Announcer

beforeEach(() => {
  clock = new FakeClock()
  said = []
  announcer = new Announcer((sentence) => said.push([clock.time, sentence]), clock)
})

test('at most one sentence in five seconds, and of a topic the last word', () => {
  announcer.tell('progress', '25')
  announcer.tell('progress', '50')
  announcer.tell('progress', '75')
  announcer.tell('done', 'done')
  clock.pass(60_000)
  expect(said).toEqual([
    [0, '25'],
    [PACE, '75'],
    [2 * PACE, 'done'],
  ])
})

test('what is urgent goes first', () => {
  announcer.tell('started', 'started')
  announcer.tell('progress', '25')
  announcer.tell('failed', 'failed', true)
  clock.pass(PACE)
  expect(said.map(([, sentence]) => sentence)).toEqual(['started', 'failed'])
})

test('nothing is said after the end', () => {
  announcer.tell('a', 'a')
  announcer.tell('b', 'b')
  announcer.close()
  clock.pass(60_000)
  expect(said).toHaveLength(1)
})

test('an upload is told from its begin to its end, not each percent of it', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  const see = () => {
    news.update(uploader.tasks, uploader.connection)
    clock.pass(PACE)
  }
  const task = uploader.put('film.mkv', 1000, { state: 'uploading' })
  see()
  for (let acked = 0; acked <= 1000; acked += 10) {
    task.set({ progress: { acked } })
    see()
  }
  uploader.connection = { state: 'waiting' }
  see()
  uploader.connection = { state: 'online' }
  see()
  task.set({ state: 'done' })
  see()
  expect(said.map(([, sentence]) => sentence.replace(/\u00a0/g, ' '))).toEqual([
    'The upload of film.mkv has begun.',
    'film.mkv: 25% uploaded.',
    'film.mkv: 50% uploaded.',
    'film.mkv: 75% uploaded.',
    'The connection is lost. The upload waits and goes on by itself.',
    'The connection is back. The upload goes on.',
    'film.mkv is uploaded.',
  ])
})

test('a thousand files are told in one sentence, their end in another', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  for (let n = 0; n < 1000; n += 1) uploader.put(`${n}.jpg`, 10, { state: 'uploading' })
  news.update(uploader.tasks, uploader.connection)
  for (const task of uploader.tasks) task.set({ state: 'done' })
  news.update(uploader.tasks, uploader.connection)
  clock.pass(60_000)
  expect(said.map(([, sentence]) => sentence)).toEqual(['1,000 uploads have begun.', 'All 1,000 uploads are finished.'])
})

test('a failure is told with its reason', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  const task = uploader.put('film.mkv', 1000, { state: 'uploading' })
  news.update(uploader.tasks, uploader.connection)
  task.set({ state: 'failed', error: failure('quota') })
  news.update(uploader.tasks, uploader.connection)
  clock.pass(PACE)
  expect(said[1]?.[1]).toMatch(/^film.mkv has failed. The server has no room left./)
})

test('what ends before it was ever seen is told all the same; what had ended before is not', () => {
  const uploader = new ScriptedUploader()
  uploader.put('old.bin', 10, { state: 'failed', error: failure('quota') })
  const news = new News(announcer, new Words('en'), uploader.tasks)
  uploader.put('big.bin', 1000, { state: 'failed', error: failure('too-large') })
  uploader.put('note.txt', 0, { state: 'done' })
  news.update(uploader.tasks, uploader.connection)
  clock.pass(60_000)
  expect(said.map(([, sentence]) => sentence)).toEqual([
    expect.stringMatching(/^big.bin has failed/),
    'note.txt is uploaded.',
  ])
})

test('what a reload left behind has not begun; with its file it goes on', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  const task = uploader.put('film.mkv', 1000, { state: 'needs-file' })
  news.update(uploader.tasks, uploader.connection)
  clock.pass(PACE)
  expect(said).toEqual([])
  task.set({ state: 'uploading' })
  news.update(uploader.tasks, uploader.connection)
  expect(said.map(([, sentence]) => sentence)).toEqual(['The upload of film.mkv goes on.'])
})

test('what the browser may still read goes on by itself, and is told so, however many there are', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  for (const name of ['a', 'b', 'c']) uploader.put(name, 1000, { state: 'preparing', progress: { acked: 400 } })
  news.update(uploader.tasks, uploader.connection)
  expect(said.map(([, sentence]) => sentence)).toEqual(['3 uploads go on.'])
})

test('files that come in batches are counted together, and no progress is told of what is over', () => {
  const uploader = new ScriptedUploader()
  const news = new News(announcer, new Words('en'))
  announcer.tell('other', 'other')
  for (const batch of [200, 100]) {
    for (let n = 0; n < batch; n += 1) uploader.put(`${batch}-${n}.jpg`, 10, { state: 'uploading' })
    news.update(uploader.tasks, uploader.connection)
  }
  for (const task of uploader.tasks) task.set({ progress: { acked: 9 } })
  news.update(uploader.tasks, uploader.connection)
  for (const task of uploader.tasks) task.set({ state: 'done' })
  news.update(uploader.tasks, uploader.connection)
  clock.pass(60_000)
  const sentences = said.map(([, sentence]) => sentence)
  expect(sentences).toEqual(['other', '300 uploads have begun.', 'All 300 uploads are finished.'])
})

test('quarters', () => {
  expect([0, 0.249, 0.25, 0.5, 0.74, 1].map(quarter)).toEqual([0, 0, 25, 50, 50, 75])
})
