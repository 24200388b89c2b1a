import { expect, test } from 'vitest'
import { CELL } from '../../src/core/types.js'
import { cellText, gridOf, MOST_CELLS, mapText, UNIT } from '../../src/ui/cells.js'
import { Words } from '../../src/ui/i18n/index.js'
import './english.js'

const en = new Words('en')
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')

test('a cell is a quarter of a MiB, or as much more as keeps the map within its limit', () => {
  expect(gridOf(0)).toEqual({ size: 0, bytes: UNIT, count: 1 })
  expect(gridOf(UNIT * 3 + 1).count).toBe(4)
  for (const size of [1e6, 5e9, 1e12, 2 ** 50]) {
    const { bytes, count } = gridOf(size)
    expect(count).toBeLessThanOrEqual(MOST_CELLS)
    expect(bytes * count).toBeGreaterThanOrEqual(size)
    expect(bytes % UNIT).toBe(0)
  }
})

test('the map says in words what it shows', () => {
  const cells = new Uint8Array(1280).fill(CELL.stored)
  expect(mapText(cells, en)).toBe('All 1,280 pieces are stored.')
  cells.fill(CELL.empty, 310, 318)
  cells[500] = CELL.empty
  cells.fill(CELL.inFlight, 1270, 1272)
  cells[0] = CELL.verified
  cells[1] = CELL.resent
  expect(mapText(cells, en)).toBe('1,269 of 1,280 pieces stored. Missing: 311–318, 501. On their way: 1,271–1,272.')
})

test('many gaps are not all named, and nothing stored names none', () => {
  const cells = new Uint8Array(100)
  for (let index = 0; index < 100; index += 2) cells[index] = CELL.stored
  expect(mapText(cells, en)).toBe('50 of 100 pieces stored. Missing: 2, 4, 6, 8, 10, 12 and more.')
  expect(mapText(new Uint8Array(100), en)).toBe('0 of 100 pieces stored.')
  expect(mapText(new Uint8Array(100).fill(CELL.failed, 0, 1).fill(CELL.stored, 1), en)).toContain('Missing: 1.')
})

test('a cell tells where it is, its digest, its lane', () => {
  const grid = gridOf(UNIT * 4 - 1000)
  const cells = Uint8Array.of(CELL.stored, CELL.inFlight, CELL.empty, CELL.empty)
  const parts = [{ offset: 0, size: UNIT, sha256: '9f2c'.repeat(16) }]
  const lanes = [{ lane: 1, start: UNIT, end: UNIT * 2, sent: 0, tries: 2, since: 0 }]
  const sending = { lane: 2, start: 0, end: UNIT, since: 0, until: 9, stored: 0 }
  const history = [{ ...sending, outcome: 'failed' } as const, { ...sending, lane: 0, outcome: 'stored' } as const]
  const said = (index: number) => plain(cellText(index, grid, cells, { parts, lanes, history }, en))
  expect(said(0)).toBe('Piece 1: stored · 262 kB · SHA-256 9f2c9f2c9f2c… · lane 1 · 2 tries')
  expect(said(1)).toBe('Piece 2: on its way · 262 kB · lane 2')
  expect(said(3)).toBe('Piece 4: not sent yet · 261 kB')
})
