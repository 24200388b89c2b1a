import { expect, test } from 'vitest'
import { gradientOf } from '../../demo/entry.js'
import { Everyone, type UploadRow } from '../../demo/everyone.js'

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

test('filters and letters narrow the list; what came to nothing has nothing on the disk', () => {
  const everyone = new Everyone()
  everyone.fill([ROW, { ...ROW, id: 'b', name: 'Song.mp3', owner: 'ann', state: 'done', created_at: 3 }], 0)
  const ids = (...asked: Parameters<Everyone['list']>) => everyone.list(...asked).map(({ id }) => id)
  expect(ids()).toEqual(['b', 'a'])
  expect(ids('active')).toEqual(['a'])
  expect(ids('all', ' SONG')).toEqual(['b'])
  expect(ids('all', 'ann')).toEqual(['b'])
  expect(ids('failed')).toEqual([])
  everyone.take('removed', { id: 'a', at: 5, state: 'expired' }, 1)
  expect(everyone.list('ended')[0]).toMatchObject({ id: 'a', received: 0, kept: 0, expires_at: null })
})

test('more time is left with every byte, and what is known of the parts stays', () => {
  const everyone = new Everyone()
  everyone.fill([{ ...ROW, map: '90' }], 2000)
  everyone.take('state', { uploads: [ROW] }, 3000)
  expect(everyone.list()[0]?.map).toBe('90')
  everyone.take('progress', { id: 'a', received: 60, length: 100, offset: 60, map: '95' }, 12_000)
  expect(everyone.list()[0]).toMatchObject({ map: '95', expires_at: 612, kept: 60 })
  everyone.take('sealed', { id: 'a', at: 7, length: 100, chunks: 4, total_known: true }, 13_000)
  expect(everyone.list()[0]).toMatchObject({ map: null, expires_at: null })
})

test('how the server stands is told apart from any upload', () => {
  const everyone = new Everyone()
  everyone.take('server', { free: 7, floor: 1, promised: 2, waiting: 3 }, 0)
  expect(everyone.room).toEqual({ free: 7, floor: 1, promised: 2, waiting: 3 })
  expect(everyone.list()).toEqual([])
})

test('parts are painted as far as they are there, and neighbours of one kind as one stripe', () => {
  expect(gradientOf('99900')).toBe(
    'linear-gradient(90deg, color-mix(in srgb, var(--tone) 100%, transparent) 0.00% 60.00%, ' +
      'color-mix(in srgb, var(--tone) 0%, transparent) 60.00% 100.00%)',
  )
  expect(gradientOf('1')).toContain('29%')
})
