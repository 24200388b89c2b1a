/** The requests of one upload over time, as numbers and as sentences; drawing them is `timeline.ts`. */

import type { Lane, Sending } from '../core/types.js'
import type { Words } from './i18n/index.js'

/** Tracks that are always there, so that nothing moves when a lane begins. */
const LEAST_LANES = 4
/** Milliseconds of the latest activity that are shown at most, and at least. */
const LONGEST = 120_000
const SHORTEST = 4000

/** One request, or one that is on its way. */
export interface Bar {
  readonly lane: number
  readonly since: number
  readonly until: number
  readonly kind: Sending['outcome'] | 'flying'
  /** Bytes that were to be sent, and that the server took or that went off so far. */
  readonly size: number
  readonly bytes: number
  /** Which request for these bytes it was, from 1. */
  readonly tries: number
}

export interface Times {
  readonly bars: readonly Bar[]
  /** The stretch of time that is shown, on the clock of `Date.now()`. */
  readonly from: number
  readonly to: number
  readonly lanes: number
}

/** What is shown at `now`: the last two minutes up to now, or up to the end of the last request if none is on its way. */
export function timesOf(history: readonly Sending[], lanes: readonly Lane[], now: number): Times {
  const last = history.at(-1)
  const to = lanes.length > 0 ? now : (last?.until ?? now)
  const first = Math.min(history[0]?.since ?? to, ...lanes.map((lane) => lane.since))
  const from = Math.min(Math.max(first, to - LONGEST), to - SHORTEST)
  const seen = new Map<number, number>()
  const bars: Bar[] = []
  for (const one of history) {
    const tries = (seen.get(one.start) ?? 0) + 1
    seen.set(one.start, tries)
    if (one.until <= from) continue
    const { lane, since, until, outcome, stored } = one
    bars.push({ lane, since, until, kind: outcome, size: one.end - one.start, bytes: stored, tries })
  }
  for (const { lane, since, start, end, sent } of lanes) {
    const size = end - start
    const tries = (seen.get(start) ?? 0) + 1
    bars.push({ lane, since, until: to, kind: 'flying', size, bytes: Math.min(sent, size), tries })
  }
  const most = bars.reduce((most, bar) => Math.max(most, bar.lane + 1), LEAST_LANES)
  return { bars: bars.sort((a, b) => a.since - b.since), from, to, lanes: most }
}

/** Bytes per second in `bins` equal parts of the time: what was taken, and on top of it what is on its way. */
export function paceOf(
  { bars, from, to }: Times,
  bins: number,
): { readonly stored: number[]; readonly flying: number[] } {
  const stored = new Array<number>(bins).fill(0)
  const flying = new Array<number>(bins).fill(0)
  const width = (to - from) / bins
  for (const { since, until, kind, bytes } of bars) {
    // A request that took no time at all still brought its bytes.
    const begun = Math.min(since, until - 1)
    const into = kind === 'flying' ? flying : stored
    const first = Math.max(0, Math.floor((begun - from) / width))
    for (let bin = first; bin < bins && from + bin * width < until; bin += 1) {
      const ms = Math.min(until, from + (bin + 1) * width) - Math.max(begun, from + bin * width)
      into[bin] = (into[bin] ?? 0) + ((bytes / (until - begun)) * ms * 1000) / width
    }
  }
  return { stored, flying }
}

function secondsOf({ bars, from, to }: Times): number {
  return (to - Math.max(from, bars[0]?.since ?? from)) / 1000
}

/** Bytes per second from the first request on; 0 while none has ended. */
export function averageOf(times: Times): number {
  const seconds = secondsOf(times)
  const bytes = times.bars.reduce((sum, bar) => sum + (bar.kind === 'flying' ? 0 : bar.bytes), 0)
  return seconds > 0 ? bytes / seconds : 0
}

/** The most bytes per second: a request that fills a part of one bin only was no slower for that. */
export function peakOf(times: Times, bins: number): number {
  const { stored, flying } = paceOf(times, bins)
  return Math.max(averageOf(times), ...stored.map((bytes, at) => bytes + (flying[at] ?? 0)))
}

/** The timeline in a sentence or two: how many requests, over which time, what went wrong, how fast. */
export function timesText(times: Times, words: Words): string {
  const over = times.bars.filter((bar) => bar.kind !== 'flying')
  if (times.bars.length === 0) return words.text('time.none')
  const { formats } = words
  const failed = over.filter((bar) => bar.kind === 'failed').length
  const seconds = secondsOf(times)
  const average = averageOf(times)
  const faults = failed > 0 ? words.count('time.faults', failed) : words.text('time.noFaults')
  const said = [words.count('time.requests', over.length, { time: whole(formats.moment(seconds)), faults })]
  if (average > 0) said.push(words.text('time.average', { speed: whole(formats.speed(average)) }))
  return said.join(' ')
}

/** One request in words: on which lane, how much, how long, what became of it, and when that was. */
export function barText(bar: Bar, times: Times, words: Words): string {
  const { formats } = words
  const said = [
    words.text('map.lane', { lane: bar.lane + 1 }),
    formats.bytes(bar.size),
    words.text(`time.${bar.kind}`, { time: formats.moment((bar.until - bar.since) / 1000) }),
  ]
  if (bar.tries > 1) said.push(words.text('map.tries', { tries: bar.tries }))
  const ago = (times.to - bar.until) / 1000
  if (bar.kind !== 'flying' && ago >= 1) said.push(words.text('time.ago', { time: formats.moment(ago) }))
  return said.join(' · ')
}

/** A figure that no line breaks within. */
function whole(figure: string): string {
  return figure.replaceAll(' ', '\u00a0')
}
