import { expect, test } from 'vitest'
import type { UploadTask } from '../../src/core/types.js'
import { loadLanguage, Words } from '../../src/ui/i18n/index.js'
import { phraseOf, shareOf } from '../../src/ui/phrases.js'
import { matched } from '../../src/ui/picking.js'
import { summary } from '../../src/ui/summary.js'
import './english.js'
import { failure, ScriptedUploader } from './scripted.js'

const en = new Words('en')
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')

test('speed, time left and what was done again are said while it goes', () => {
  const task = new ScriptedUploader().put('film.mkv', 1_288_000_000, {
    state: 'uploading',
    progress: { acked: 5e8, bytesPerSecond: 12_400_000, etaSeconds: 71, resumes: 1, retries: 3, resentBytes: 4e6 },
  })
  const phrase = phraseOf(task.view, en, 0)
  expect(plain(phrase.figures)).toBe('500 MB of 1.3 GB · 12 MB/s · 1 min left')
  expect(plain(phrase.trouble)).toBe('1 resume · 3 retries · 4 MB sent twice')
  expect(phrase.actions).toEqual(['pause', 'cancel'])
})

test('nothing is said of speed while it rests', () => {
  const progress = { acked: 5e8, bytesPerSecond: 12_400_000, etaSeconds: 71 }
  const task = new ScriptedUploader().put('film.mkv', 1e9, { state: 'paused', progress })
  expect(plain(phraseOf(task.view, en, 0).figures)).toBe('500 MB of 1 GB')
})

test('waiting counts down to the next try', () => {
  const task = new ScriptedUploader().put('film.mkv', 1e9, { state: 'waiting', retryAt: 12_000 })
  expect(plain(phraseOf(task.view, en, 5000).sentence)).toMatch(/Next try in 7 sec\.$/)
  expect(phraseOf(task.view, en, 13_000).sentence).not.toContain('Next try')
})

test('an abbreviation ends the sentence with its own full stop', async () => {
  await loadLanguage('de')
  const task = new ScriptedUploader().put('film.mkv', 1e9, { state: 'waiting', retryAt: 12_000 })
  expect(plain(phraseOf(task.view, new Words('de'), 5000).sentence)).toMatch(/Nächster Versuch in 7 Sek\.$/)
})

test('how large a file may be is said with the refusal', () => {
  const error = failure('too-large', { problem: 'upload-too-large', limit: 42e6 })
  const task = new ScriptedUploader().put('film.mkv', 1e9, { state: 'failed', error })
  expect(plain(phraseOf(task.view, en, 0).sentence)).toMatch(/^The file is larger than 42 MB, the most/)
})

test('what the worker has behind it is the progress after the last byte', () => {
  const finishing = { phase: 'verifying', done: 43, total: 100 } as const
  const task = new ScriptedUploader().put('film.mkv', 100, { state: 'verifying', finishing, progress: { acked: 100 } })
  expect(shareOf(task.view)).toBe(0.43)
  expect(plain(phraseOf(task.view, en, 0).label)).toBe('Verifying 43%')
})

test('trying again is offered only where it can help', () => {
  const uploader = new ScriptedUploader()
  const offered = (code: Parameters<typeof failure>[0]) =>
    phraseOf(uploader.put('a', 1, { state: 'failed', error: failure(code) }).view, en, 0).actions
  expect(offered('network')).toEqual(['retry', 'remove'])
  expect(offered('too-large')).toEqual(['remove'])
})

test('all uploads in a line', () => {
  const uploader = new ScriptedUploader()
  expect(summary(uploader.getSnapshot(), 0, 0, en)).toBe('Ready')
  uploader.put('a', 1, { state: 'done' })
  expect(plain(summary(uploader.getSnapshot(), 0, 0, en))).toBe('1 file done')
  uploader.put('b', 1, { state: 'uploading' })
  uploader.totals = { ...uploader.totals, bytesPerSecond: 2e6, etaSeconds: 125 }
  uploader.changed()
  expect(plain(summary(uploader.getSnapshot(), 3, 0.64, en))).toBe('3 files · 64% · 2 MB/s · 2 min left')
})

test('each file goes to one upload that lacks it', () => {
  const uploader = new ScriptedUploader()
  const first = uploader.put('a.bin', 5, { state: 'needs-file' })
  const second = uploader.put('a.bin', 5, { state: 'needs-file' })
  uploader.put('b.bin', 5, { state: 'needs-permission' })
  const file = (name: string, size: number) => ({ name, size, slice: () => new Blob() })
  const files = [file('a.bin', 5), file('a.bin', 6), file('a.bin', 5), file('a.bin', 5), file('b.bin', 5)]
  const { pairs, rest } = matched(files, uploader.tasks as readonly UploadTask[])
  expect(pairs).toEqual([
    [first, files[0]],
    [second, files[2]],
  ])
  expect(rest).toEqual([files[1], files[3], files[4]])
})
