import { expect, test } from 'vitest'
import { Formats, steady } from '../../src/ui/format.js'

const en = new Formats('en')
const de = new Formats('de')
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')

test.each([
  [0, '0 kB'],
  [999, '999 byte'],
  [1000, '1 kB'],
  [8_400_000, '8.4 MB'],
  [12_400_000, '12 MB'],
  [999_600, '1 MB'],
  [5_200_000_000, '5.2 GB'],
  [3e15, '3 PB'],
  [4e18, '4,000 PB'],
])('%d bytes', (count, said) => {
  expect(plain(en.bytes(count))).toBe(said)
})

test('numbers are written as the language has them', () => {
  expect(plain(de.bytes(8_400_000))).toBe('8,4 MB')
  expect(plain(en.speed(12_400_000))).toBe('12 MB/s')
  expect(plain(de.percent(0.5))).toBe('50 %')
})

test.each([
  [0.2, '1 sec'],
  [59.4, '59 sec'],
  [71, '1 min'],
  [3599, '1 hr'],
  [3900, '1 hr 5 min'],
  [7200, '2 hr'],
  [200_000, '2 days'],
])('%d seconds', (seconds, said) => {
  expect(plain(en.duration(seconds))).toBe(said)
})

test('a share is nothing only of nothing and everything only of everything', () => {
  expect(steady(0)).toBe(0)
  expect(steady(0.0001)).toBe(0.01)
  expect(steady(0.9999)).toBe(0.99)
  expect(steady(1)).toBe(1)
  expect(steady(Number.NaN)).toBe(0)
})
