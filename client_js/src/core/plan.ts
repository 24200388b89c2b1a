import { UNIT } from './adapt.js'
import type { ByteRanges } from './ranges.js'

/** The next bytes to send: of the first hole in `taken` (stored or on its way), at most `size`; null if nothing lacks. */
export function nextPiece(taken: ByteRanges, total: number, size: number): [start: number, end: number] | null {
  const hole = taken.holes(0, total)[0]
  if (!hole) return null
  const [start, limit] = hole
  const end = Math.min(start + size, limit)
  const even = end - (end % UNIT)
  // Whatever sizes were used before, runs end at whole units, so that those of a resumed upload meet.
  return [start, end < limit && even > start ? even : end]
}

/** How many units a file has: the number that is told when it is completed, whatever the sizes it was sent in. */
export function unitsOf(total: number): number {
  return Math.max(1, Math.ceil(total / UNIT))
}
