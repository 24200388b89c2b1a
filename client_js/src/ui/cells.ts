/** The chunk map as numbers and as sentences; drawing it is `chunkmap.ts`. */

import { CELL, type Lane, type Part, type Sending } from '../core/types.js'
import type { Words } from './i18n/index.js'

/** Most cells of one map. */
export const MOST_CELLS = 2000
/** Bytes of the finest cell: what chunk sizes are multiples of. */
export const UNIT = 256 * 1024
/** Gaps that the text names before it says "and more". */
const NAMED_GAPS = 6

const NAMES: readonly string[] = ['empty', 'flyingCell', 'partly', 'stored', 'verified', 'resent', 'failed']

/** How a file is cut into cells: `bytes` in each, the last may be shorter. */
export interface Grid {
  readonly size: number
  readonly bytes: number
  readonly count: number
}

/** Cells of a quarter of a MiB, or of as many times more as keeps the map within `most` cells. */
export function gridOf(size: number, most: number = MOST_CELLS): Grid {
  let bytes = UNIT
  while (size / bytes > most) bytes *= 2
  return { size, bytes, count: Math.max(1, Math.ceil(size / bytes)) }
}

function isStored(cell: number | undefined): boolean {
  return cell === CELL.stored || cell === CELL.verified || cell === CELL.resent
}

/** The map in a sentence or two: how much is stored, what lacks, what is on its way. Cells count from 1. */
export function mapText(cells: Uint8Array, words: Words): string {
  const number = (n: number) => words.formats.number(n)
  const total = number(cells.length)
  const stored = cells.reduce((sum, cell) => sum + (isStored(cell) ? 1 : 0), 0)
  if (stored === cells.length) return words.count('map.complete', cells.length)
  const said = [words.text('map.text', { stored: number(stored), total })]
  const flying = runsOf(cells, (cell) => cell === CELL.inFlight)
  const gaps = runsOf(cells, (cell) => !isStored(cell) && cell !== CELL.inFlight)
  if (stored > 0 && gaps.length > 0) {
    const key = gaps.length > NAMED_GAPS ? 'map.gapsMore' : 'map.gaps'
    said.push(words.text(key, { gaps: runsText(gaps.slice(0, NAMED_GAPS), words) }))
  }
  if (flying.length > 0) {
    said.push(words.text('map.flying', { flying: runsText(flying.slice(0, NAMED_GAPS), words) }))
  }
  return said.join(' ')
}

/** Runs of cells that `wanted` holds for, both ends included, counted from 1. */
export function runsOf(cells: Uint8Array, wanted: (cell: number) => boolean): [number, number][] {
  const runs: [number, number][] = []
  let start = -1
  for (let index = 0; index <= cells.length; index += 1) {
    const holds = index < cells.length && wanted(cells[index] as number)
    if (holds && start < 0) start = index
    if (!holds && start >= 0) {
      runs.push([start + 1, index])
      start = -1
    }
  }
  return runs
}

function runsText(runs: readonly (readonly [number, number])[], words: Words): string {
  const number = (n: number) => words.formats.number(n)
  return runs.map(([a, b]) => (a === b ? number(a) : `${number(a)}–${number(b)}`)).join(', ')
}

/** What is known of the pieces of an upload; `UploadTask` fits. */
export interface Pieces {
  readonly parts: readonly Part[]
  readonly lanes: readonly Lane[]
  readonly history: readonly Sending[]
}

/** The lane that each cell is on its way on, from 0; -1 where it is on none. */
export function lanesOf(lanes: readonly Lane[], { size, count }: Grid): Int8Array {
  const found = new Int8Array(count).fill(-1)
  // The same cells as those of `UploadTask.bitmap`.
  const at = (byte: number) => (byte * count) / size
  for (const { lane, start, end } of lanes) found.fill(lane, Math.floor(at(start)), Math.ceil(at(end)))
  return found
}

/** One cell in words: which, how large, how it stands; its digest, its lane and how often it was sent where they are known. */
export function cellText(index: number, grid: Grid, cells: Uint8Array, pieces: Pieces, words: Words): string {
  const { history, lanes, parts } = pieces
  const start = index * grid.bytes
  const end = Math.min(grid.size, start + grid.bytes)
  const state = words.text(`map.${NAMES[cells[index] ?? 0] ?? 'empty'}`)
  const said = [words.text('map.cell', { n: index + 1, state }), words.formats.bytes(end - start)]
  const part = parts.find((one) => one.offset <= start && start < one.offset + one.size)
  if (part?.sha256) said.push(words.text('map.sha', { sha: `${part.sha256.slice(0, 12)}…` }))
  const isHere = (one: { start: number; end: number }) => one.start <= start && start < one.end
  const sent = history.filter(isHere)
  const lane = lanes.find(isHere) ?? sent.at(-1)
  const tries = sent.length + (lanes.some(isHere) ? 1 : 0)
  if (lane) said.push(words.text('map.lane', { lane: lane.lane + 1 }))
  if (tries > 1) said.push(words.text('map.tried', { n: tries }))
  return said.join(' · ')
}
