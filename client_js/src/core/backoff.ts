/** When to try again, and how long to wait: pure. Milliseconds. The server's own command-line client does the same. */

export type Verdict = 'taken' | 'again' | 'later' | 'final'

const AGAIN = new Set([408, 423, 425, 429])
const AGAIN_CODES = new Set(['writers-busy', 'locked', 'body-incomplete', 'digest-mismatch'])

/** What an answer of this status and problem code means. `later`: what is in the way does not go away in seconds. */
export function judge(status: number, code: string): Verdict {
  if (status >= 200 && status < 300) return 'taken'
  if (status === 507) return 'later'
  if (status >= 500 || AGAIN.has(status) || AGAIN_CODES.has(code)) return 'again'
  return 'final'
}

/** What a `Retry-After` asks for, be it seconds or a date; undefined if it says nothing readable. */
export function retryAfter(field: string | null, now: number): number | undefined {
  const text = field?.trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text.slice(0, 9)) * 1000
  const date = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

export interface Backoff {
  readonly base: number
  readonly cap: number
  readonly baseLater: number
  readonly capLater: number
}
export const BACKOFF: Backoff = { base: 500, cap: 20_000, baseLater: 4_000, capLater: 60_000 }

/** The longest wait after `tries` tries, the first of them counted as 1. */
export function ceiling(backoff: Backoff, tries: number, later = false): number {
  const [base, cap] = later ? [backoff.baseLater, backoff.capLater] : [backoff.base, backoff.cap]
  return Math.min(cap, base * 2 ** Math.min(tries - 1, 30))
}

/** Full jitter: any wait from zero to the ceiling is as likely as another. `asked`: what the server asks for at least. */
export function wait(backoff: Backoff, tries: number, draw: number, later = false, asked?: number): number {
  // Those that were told the same moment do not all come at it.
  return asked === undefined ? draw * ceiling(backoff, tries, later) : asked + draw * Math.min(backoff.base, asked)
}
