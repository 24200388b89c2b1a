import { expect, test } from 'vitest'
import { offsetOf, type Taller, windowOf } from '../../src/ui/windowing.js'

const VIEW = { top: 0, height: 600, spare: 2 }

test('of ten thousand rows only those are made that can be seen', () => {
  const window = windowOf(10_000, 80, [], { ...VIEW, top: 400_000 })
  expect(window).toEqual({ first: 4998, end: 5010, before: 4998 * 80, height: 800_000 })
})

test('the end of the list is reached, and never run over', () => {
  expect(windowOf(10_000, 80, [], { ...VIEW, top: 1e9 }).end).toBe(10_000)
  expect(windowOf(3, 80, [], VIEW)).toEqual({ first: 0, end: 3, before: 0, height: 240 })
  expect(windowOf(0, 80, [], VIEW)).toEqual({ first: 0, end: 0, before: 0, height: 0 })
})

test('whatever the heights, the rows made cover what can be seen', () => {
  const rows = 40
  const heights = Array.from(
    { length: rows },
    (_, index) => 50 + (index % 7 === 3 ? 200 : 0) - (index % 5 === 0 ? 20 : 0),
  )
  const taller: Taller[] = heights.flatMap((height, index) => (height === 50 ? [] : [{ index, by: height - 50 }]))
  const tops = heights.map((_, index) => heights.slice(0, index).reduce((sum, height) => sum + height, 0))
  const total = heights.reduce((sum, height) => sum + height, 0)
  for (let top = 0; top <= total - 300; top += 13) {
    const { before, end, first, height } = windowOf(rows, 50, taller, { top, height: 300, spare: 0 })
    expect(height).toBe(total)
    expect(before).toBe(tops[first])
    expect(before).toBeLessThanOrEqual(top)
    expect(offsetOf(end, 50, taller)).toBeGreaterThanOrEqual(top + 300)
    expect(end - first).toBeLessThan(14)
  }
})

test('taller rows beyond the end of a list that has shrunk do not count', () => {
  expect(windowOf(2, 50, [{ index: 5, by: 100 }], VIEW).height).toBe(100)
})
