import { ByteRanges } from './ranges.js'
import type { Part, Ranges } from './seams.js'
import { CELL, type Lane } from './types.js'

export interface MapFacts {
  readonly size: number
  readonly received: Ranges
  readonly parts: ReadonlyArray<Part>
  readonly lanes: ReadonlyArray<Lane>
  readonly resent: Ranges
  readonly failed: Ranges
}

/** The chunk map: the file in `cells` equal parts, each with the most telling of its states. */
export function bitmap(facts: MapFacts, cells: number): Uint8Array {
  const map = new Uint8Array(cells)
  const { size } = facts
  if (!size || !cells) return map
  const paint = (ranges: Ranges, value: number, whole: boolean): void => {
    for (const [start, end] of ranges) {
      const first = (start * cells) / size
      const last = (end * cells) / size
      const [from, to] = whole ? [Math.ceil(first), Math.floor(last)] : [Math.floor(first), Math.ceil(last)]
      map.fill(value, from, to)
    }
  }
  const proven = new ByteRanges(
    facts.parts.filter((part) => part.sha256).map((part) => [part.offset, part.offset + part.size]),
  )
  paint(facts.received, CELL.partly, false)
  paint(facts.received, CELL.stored, true)
  paint(proven.list, CELL.verified, true)
  paint(facts.resent, CELL.resent, true)
  paint(facts.failed, CELL.failed, false)
  paint(
    facts.lanes.map(({ start, end }) => [start, end] as const),
    CELL.inFlight,
    false,
  )
  return map
}
