import { expect, test } from 'vitest'
import type { Lane, Sending } from '../../src/core/types.js'
import { Words } from '../../src/ui/i18n/index.js'
import { averageOf, barText, paceOf, peakOf, timesOf, timesText } from '../../src/ui/times.js'
import './english.js'

const en = new Words('en')
const MB = 1_000_000
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')

function sent(lane: number, since: number, until: number, changes: Partial<Sending> = {}): Sending {
  return { lane, start: lane * MB, end: (lane + 1) * MB, since, until, outcome: 'stored', stored: MB, ...changes }
}
const FLYING: Lane = { lane: 1, start: 9 * MB, end: 10 * MB, sent: MB / 2, tries: 1, since: 9_000 }

test('time runs from the first request to now, or to the last end when nothing is on its way', () => {
  const history = [sent(0, 1_000, 8_000)]
  expect(timesOf(history, [FLYING], 11_000)).toMatchObject({ from: 1_000, to: 11_000, lanes: 4 })
  expect(timesOf(history, [], 99_000)).toMatchObject({ from: 1_000, to: 8_000 })
  expect(timesOf([sent(5, 1_000, 1_200)], [], 2_000)).toMatchObject({ from: -2_800, to: 1_200, lanes: 6 })
  expect(timesOf([], [], 5_000).bars).toEqual([])
})

test('no more than the last two minutes are shown, and requests before them are not', () => {
  const times = timesOf([sent(0, 0, 1_000), sent(1, 100_000, 300_000)], [], 0)
  expect(times).toMatchObject({ from: 180_000, to: 300_000 })
  expect(times.bars.map((bar) => bar.lane)).toEqual([1])
})

test('the same bytes once more are another try', () => {
  const failed = sent(0, 0, 1_000, { outcome: 'failed', stored: 0 })
  const times = timesOf([failed, { ...failed, since: 1_500, until: 2_000 }, sent(0, 2_500, 3_000)], [], 0)
  expect(times.bars.map(({ kind, tries }) => [kind, tries])).toEqual([
    ['failed', 1],
    ['failed', 2],
    ['stored', 3],
  ])
})

test('no byte of the speed is lost or made up, whatever the bins', () => {
  const history = [
    sent(0, 0, 5_000),
    sent(1, 2_500, 7_300),
    sent(2, 6_000, 6_000),
    sent(3, 1, 9, { outcome: 'failed', stored: 0 }),
  ]
  const times = timesOf(history, [FLYING], 12_000)
  for (const bins of [8, 13, 100]) {
    const { flying, stored } = paceOf(times, bins)
    const bytes = (values: number[]) => (values.reduce((sum, value) => sum + value, 0) * 12) / bins
    expect(bytes(stored)).toBeCloseTo(3 * MB, 0)
    expect(bytes(flying)).toBeCloseTo(MB / 2, 0)
  }
})

test('requests are told in words', () => {
  const failed = sent(1, 0, 40, { outcome: 'failed', stored: 0 })
  const times = timesOf([failed, sent(0, 0, 2_000), sent(1, 100, 10_000)], [FLYING], 10_000)
  expect(plain(timesText(times, en))).toBe('3 requests in 10 sec, 1 fault. 200 kB/s on average.')
  expect(timesText(timesOf([], [], 0), en)).toBe('No request yet.')
  const said = times.bars.map((bar) => plain(barText(bar, times, en)))
  expect(said).toEqual([
    'lane 2 · 1 MB · failed after 40 ms · 10 sec before the end',
    'lane 1 · 1 MB · stored in 2 sec · 8 sec before the end',
    'lane 2 · 1 MB · stored in 9.9 sec · try 2',
    'lane 2 · 1 MB · on its way for 1 sec',
  ])
})

test('no peak is lower than the average: a short request fills a part of its column only', () => {
  const history = [
    { lane: 0, start: 0, end: 1e6, since: 10_000, until: 10_050, outcome: 'stored', stored: 1e6 },
  ] as const
  const times = timesOf(history, [], 10_050)
  expect(averageOf(times)).toBe(20e6)
  expect(peakOf(times, 8)).toBe(20e6)
  expect(Math.max(...paceOf(times, 8).stored)).toBeLessThan(20e6)
})
