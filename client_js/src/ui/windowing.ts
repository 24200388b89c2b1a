/** Which rows of a long list are worth making: those that can be seen, and a few around them. */

/** A row that is taller than the others, by so many pixels. */
export interface Taller {
  readonly index: number
  readonly by: number
}

export interface Window {
  /** First row to show. */
  readonly first: number
  /** One past the last row to show. */
  readonly end: number
  /** Pixels above the first row. */
  readonly before: number
  /** Height of the whole list in pixels. */
  readonly height: number
}

export interface Viewport {
  /** Pixels scrolled away above. */
  readonly top: number
  /** Pixels that can be seen. */
  readonly height: number
  /** Rows to make beyond what can be seen, on each side. */
  readonly spare: number
}

/**
 * The rows to show of `count`, each `row` pixels high but for the `taller` ones (by rising index).
 * Costs as much as there are taller rows, however long the list is.
 */
export function windowOf(count: number, row: number, taller: readonly Taller[], view: Viewport): Window {
  const known = taller.filter((one) => one.index < count)
  const height = count * row + known.reduce((sum, one) => sum + one.by, 0)
  if (count === 0 || row <= 0) return { first: 0, end: 0, before: 0, height: 0 }
  const top = Math.max(0, Math.min(view.top, height - view.height))
  const first = Math.max(0, indexAt(top, count, row, known) - view.spare)
  const end = Math.min(count, indexAt(top + view.height, count, row, known) + 1 + view.spare)
  return { first, end, before: offsetOf(first, row, known), height }
}

/** Pixels above a row. */
export function offsetOf(index: number, row: number, taller: readonly Taller[]): number {
  let before = index * row
  for (const one of taller) {
    if (one.index >= index) break
    before += one.by
  }
  return before
}

function indexAt(y: number, count: number, row: number, taller: readonly Taller[]): number {
  let extra = 0
  for (const one of taller) {
    const ends = (one.index + 1) * row + extra + one.by
    if (y < one.index * row + extra) break
    if (y < ends) return one.index
    extra += one.by
  }
  return Math.min(count - 1, Math.max(0, Math.floor((y - extra) / row)))
}
