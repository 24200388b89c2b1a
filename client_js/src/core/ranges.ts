import type { Ranges } from './seams.js'

/** A set of bytes, kept as half-open ranges in order that neither touch nor overlap. */
export class ByteRanges {
  #list: [number, number][] = []

  constructor(ranges: Ranges = []) {
    for (const [start, end] of ranges) this.add(start, end)
  }

  /** The ranges. Not to be changed; a new array after every change of the set. */
  get list(): Ranges {
    return this.#list
  }

  get total(): number {
    return this.#list.reduce((sum, [start, end]) => sum + end - start, 0)
  }

  /** An empty range changes nothing. */
  add(start: number, end: number): void {
    if (start >= end) return
    const kept: [number, number][] = []
    let [from, to] = [start, end]
    for (const range of this.#list) {
      if (range[1] < start || range[0] > end) kept.push(range)
      else [from, to] = [Math.min(from, range[0]), Math.max(to, range[1])]
    }
    kept.push([from, to])
    this.#list = kept.sort((a, b) => a[0] - b[0])
  }

  remove(start: number, end: number): void {
    if (start >= end) return
    this.#list = this.#list.flatMap(([from, to]): [number, number][] => {
      if (to <= start || from >= end) return [[from, to]]
      const left: [number, number] = [from, start]
      const right: [number, number] = [end, to]
      return [left, right].filter(([a, b]) => a < b)
    })
  }

  /** The end of the unbroken run that begins at `origin`; `origin` if it is missing. */
  prefix(origin = 0): number {
    for (const [start, end] of this.#list) if (start <= origin && end > origin) return end
    return origin
  }

  /** What lacks of `origin <= n < end`, in order. */
  holes(origin: number, end: number): Ranges {
    const found: [number, number][] = []
    let at = origin
    for (const [from, to] of this.#list) {
      if (from >= end) break
      if (from > at) found.push([at, from])
      at = Math.max(at, to)
    }
    if (at < end) found.push([at, end])
    return found
  }

  /** True if every byte of `start <= n < end` is in the set. */
  covers(start: number, end: number): boolean {
    return start >= end || this.prefix(start) >= end
  }
}
