import { expect, test } from 'vitest'
import { Everyone, type UploadRow } from '../../demo/everyone.js'
import { EventParser } from '../../demo/stream.js'

const ROW: UploadRow = {
  id: 'a',
  name: 'film.mkv',
  owner: null,
  state: 'receiving',
  reason: null,
  length: 100,
  received: 10,
  kept: 10,
  done: null,
  map: null,
  created_at: 1,
  active_at: 2,
  expires_at: 602,
}

test('events come in pieces of any size, and each is told once', () => {
  const text =
    'retry: 2000\n\nid: 7\nevent: created\ndata: {"id":"a"}\n\n: alive\n\nid: 9\nevent: progress\ndata: {"id":\ndata: "a"}\n\n'
  for (let size = 1; size < text.length; size += 1) {
    const parser = new EventParser()
    const events = []
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)))
    expect(events).toEqual([
      { name: 'created', data: '{"id":"a"}' },
      { name: 'progress', data: '{"id":\n"a"}' },
    ])
    expect(parser.lastId).toBe('9')
  }
})

test('an upload is followed from its begin to its end', () => {
  const everyone = new Everyone()
  const see = () => everyone.list()[0]
  everyone.take('created', { id: 'a', at: 5, name: 'film.mkv', length: 1000, state: 'receiving' }, 5000)
  expect(see()).toMatchObject({ name: 'film.mkv', length: 1000, received: 0, state: 'receiving' })
  everyone.take('progress', { id: 'a', received: 400, length: 1000, offset: 400 }, 6000)
  expect(see()).toMatchObject({ received: 400, rate: 400 })
  everyone.take('sealed', { id: 'a', at: 7, length: 1000, chunks: 4, total_known: true }, 7000)
  expect(see()).toMatchObject({ state: 'verifying', received: 1000, rate: 0 })
  everyone.take('verifying', { id: 'a', phase: 'assembling', done: 500, total: 1000 }, 7500)
  expect(see()).toMatchObject({ state: 'assembling', done: 500 })
  everyone.take('published', { id: 'a', at: 8, state: 'done', size: 1000, sha256: '', ref: '' }, 8000)
  expect(see()).toMatchObject({ state: 'done', done: null })
})

test('failures keep their reason, removals their word', () => {
  const everyone = new Everyone()
  everyone.fill([ROW, { ...ROW, id: 'b', created_at: 3 }], 0)
  everyone.take('failed', { id: 'a', at: 5, code: 'digest-mismatch', detail: '' }, 1)
  everyone.take('removed', { id: 'b', at: 5, state: 'expired' }, 1)
  expect(everyone.list().map(({ id, reason, state }) => [id, state, reason])).toEqual([
    ['b', 'expired', null],
    ['a', 'failed', 'digest-mismatch'],
  ])
})

test('what stands still has no speed', () => {
  const everyone = new Everyone()
  everyone.fill([ROW], 0)
  everyone.take('progress', { id: 'a', received: 60, length: 100, offset: 60 }, 1000)
  everyone.settle(2000)
  expect(everyone.list()[0]?.rate).toBe(50)
  everyone.settle(5000)
  expect(everyone.list()[0]?.rate).toBe(0)
})
