import { describe, expect, test } from 'vitest'
import { ChunkSizer, UNIT } from '../../src/core/adapt.js'
import { nextPiece, unitsOf } from '../../src/core/plan.js'
import { ByteRanges } from '../../src/core/ranges.js'
import { eta, Speed } from '../../src/core/speed.js'

describe('sizes', () => {
  test('a file that may have few chunks gets large ones, but never larger than the server takes', () => {
    const sizer = new ChunkSizer()
    expect(sizer.atLeast(100 * UNIT, 10_000)).toBe(4 * UNIT)
    expect(sizer.atLeast(2 ** 38, 10_000)).toBeGreaterThan(2 ** 38 / 10_000)
    expect(sizer.atLeast(2 ** 38, 10_000) % UNIT).toBe(0)
    sizer.cap(64 * UNIT)
    expect(sizer.atLeast(2 ** 40, 10_000)).toBe(64 * UNIT)
  })

  test('the end of a file says nothing about the line', () => {
    const sizer = new ChunkSizer()
    sizer.acked(10, 1)
    sizer.acked(10, 100_000)
    expect(sizer.size).toBe(4 * UNIT)
  })

  test('grows at most twofold, shrinks at most by half, within its bounds', () => {
    const sizer = new ChunkSizer({ max: 8 * UNIT })
    sizer.acked(4 * UNIT, 1)
    expect(sizer.size).toBe(8 * UNIT)
    sizer.acked(8 * UNIT, 1)
    expect(sizer.size).toBe(8 * UNIT)
    for (let times = 0; times < 9; times++) sizer.acked(sizer.size, 1e9)
    expect(sizer.size).toBe(UNIT)
  })

  test('too small to be worth a try', () => {
    expect(new ChunkSizer(20_000).refused(20_000)).toBe(false)
    expect(new ChunkSizer().refused(UNIT, 1000)).toBe(false)
  })

  test('a fixed size comes back after a stall', () => {
    const sizer = new ChunkSizer(4 * UNIT)
    sizer.stalled(4 * UNIT)
    expect(sizer.size).toBe(2 * UNIT)
    sizer.acked(2 * UNIT, 1000)
    expect(sizer.size).toBe(4 * UNIT)
  })
})

describe('pieces', () => {
  test('fill the first hole and end at whole units', () => {
    expect(nextPiece(new ByteRanges(), 10 * UNIT, 4 * UNIT)).toEqual([0, 4 * UNIT])
    expect(nextPiece(new ByteRanges([[0, 100]]), 10 * UNIT, 4 * UNIT)).toEqual([100, 4 * UNIT])
    expect(nextPiece(new ByteRanges([[2 * UNIT, 3 * UNIT]]), 10 * UNIT, 4 * UNIT)).toEqual([0, 2 * UNIT])
    expect(nextPiece(new ByteRanges([[0, UNIT]]), UNIT + 5, 4 * UNIT)).toEqual([UNIT, UNIT + 5])
    expect(nextPiece(new ByteRanges([[0, 9]]), 9, UNIT)).toBeNull()
    expect(nextPiece(new ByteRanges(), 0, UNIT)).toBeNull()
  })

  test('smaller than a unit they go on anyway', () => {
    expect(nextPiece(new ByteRanges([[0, 100]]), 10 * UNIT, 1000)).toEqual([100, 1100])
  })

  test('the number told at the end does not depend on the sizes sent', () => {
    expect([0, 1, UNIT, UNIT + 1].map(unitsOf)).toEqual([1, 1, 1, 2])
  })
})

describe('speed', () => {
  test('is of the last twenty seconds, from when the first of their bytes set out', () => {
    const speed = new Speed()
    expect(speed.perSecond(0)).toBe(0)
    speed.acked(2000, 1000, 0)
    expect(speed.perSecond(2000)).toBe(500)
    expect(speed.perSecond(4000)).toBe(250)
    speed.acked(12_000, 1000, 11_000)
    expect(speed.perSecond(23_000)).toBe(50)
    expect(speed.perSecond(60_000)).toBe(0)
    speed.acked(61_000, 1000, 60_000)
    speed.stop()
    expect(speed.perSecond(61_000)).toBe(0)
  })

  test('time left', () => {
    expect([eta(0, 0), eta(10, 0), eta(10, 5)]).toEqual([0, null, 2])
  })
})
