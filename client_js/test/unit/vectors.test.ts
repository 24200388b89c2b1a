import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BACKOFF, judge, retryAfter, wait } from '../../src/core/backoff.js'
import { nameOf } from '../../src/core/naming.js'
import { ByteRanges } from '../../src/core/ranges.js'
import { STATES } from '../../src/protocol/manifest.js'
import { encodeMetadata } from '../../src/protocol/metadata.js'

/** What the server is tested with, too. */
function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}`, import.meta.url), 'utf8')) as T
}

type Pairs = [number, number][]
interface RangesRow {
  title: string
  add: Pairs
  remove?: Pairs
  then: Pairs
  prefix: number
  holes: Pairs
}
interface BackoffRules {
  first: number
  most: number
  first_later: number
  most_later: number
  verdicts: [number, string, string][]
  waits: { tries: number; draw: number; later?: boolean; asked?: number; wait: number }[]
  retry_after: { field: string; now?: string; wait: number | null }[]
}

test.each(load<RangesRow[]>('ranges.json'))('ranges: $title', (row) => {
  const ranges = new ByteRanges(row.add)
  for (const [start, end] of row.remove ?? []) ranges.remove(start, end)
  expect(ranges.list).toEqual(row.then)
  expect(ranges.total).toBe(row.then.reduce((sum, [start, end]) => sum + end - start, 0))
  expect(ranges.prefix()).toBe(row.prefix)
  expect(ranges.holes(0, 100)).toEqual(row.holes)
})

test('states', () => {
  expect(STATES).toEqual(load('states.json'))
})

test.each(load<{ words: Record<string, string>; field: string }[]>('metadata.json'))('metadata: $field', (row) => {
  expect(encodeMetadata(row.words)).toBe(row.field)
})

test('a key that metadata has no form for is left out', () => {
  expect(encodeMetadata({ 'a b': 'x', 'c,d': 'x', '': 'x', e: '' })).toBe('e')
})

const rules = load<BackoffRules>('backoff.json')

test.each(rules.verdicts)('%i %s: %s', (status, code, verdict) => {
  expect(judge(status, code)).toBe(verdict)
})

test('waits', () => {
  const { first, most, first_later: firstLater, most_later: mostLater } = rules
  expect(BACKOFF).toEqual({
    base: first * 1000,
    cap: most * 1000,
    baseLater: firstLater * 1000,
    capLater: mostLater * 1000,
  })
  for (const { tries, draw, later, asked, wait: seconds } of rules.waits) {
    const waited = wait(BACKOFF, tries, draw, later, asked === undefined ? undefined : asked * 1000)
    expect(waited).toBeCloseTo(seconds * 1000)
  }
})

test.each(rules.retry_after)('Retry-After: $field', ({ field, now, wait: seconds }) => {
  const at = now ? Date.parse(now) : 0
  expect(retryAfter(field, at)).toBe(seconds === null ? undefined : seconds * 1000)
})

test.each(load<{ path: string; name: string }[]>('names.json'))('$path is called $name', ({ path, name }) => {
  const file = { name: path, size: 0, slice: () => new Uint8Array() }
  expect(nameOf(file)).toBe(name)
  expect(nameOf({ ...file, name: path.split('/').at(-1) ?? '', relativePath: path })).toBe(name)
})

test('a name that is too long is cut in its middle', () => {
  const name = nameOf({ name: `${'ä'.repeat(300)}.tar.gz`, size: 0, slice: () => new Uint8Array() })
  expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(240)
  expect(name.endsWith('ä.tar.gz')).toBe(true)
})
