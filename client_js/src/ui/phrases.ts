/** How an upload stands, said for a person. Views in, words out: nothing here knows the DOM. */

import type { UploadError, Warning } from '../core/errors.js'
import type { State, TaskView } from '../core/types.js'
import type { Words } from './i18n/index.js'

export type Tone = 'calm' | 'active' | 'wait' | 'ask' | 'fail' | 'done'
export type Action = 'pause' | 'resume' | 'now' | 'retry' | 'cancel' | 'remove' | 'choose' | 'allow' | 'here'

export interface Phrase {
  readonly label: string
  readonly tone: Tone
  /** How much is there, how fast, how long still. */
  readonly figures: string
  /** What had to be done again; empty if nothing had. */
  readonly trouble: string
  /** What happened and what to do; empty while all goes well. */
  readonly sentence: string
  readonly actions: readonly Action[]
}

const TONES: Readonly<Record<State, Tone>> = {
  queued: 'calm',
  preparing: 'active',
  uploading: 'active',
  waiting: 'wait',
  paused: 'calm',
  'needs-file': 'ask',
  'needs-permission': 'ask',
  elsewhere: 'calm',
  verifying: 'active',
  assembling: 'active',
  checking: 'active',
  done: 'done',
  failed: 'fail',
  cancelled: 'calm',
}

const ACTIONS: Readonly<Record<State, readonly Action[]>> = {
  queued: ['pause', 'cancel'],
  preparing: ['pause', 'cancel'],
  uploading: ['pause', 'cancel'],
  waiting: ['now', 'pause', 'cancel'],
  paused: ['resume', 'cancel'],
  'needs-file': ['choose', 'cancel'],
  'needs-permission': ['allow', 'cancel'],
  elsewhere: ['here'],
  verifying: [],
  assembling: [],
  checking: ['pause', 'cancel'],
  done: ['remove'],
  failed: ['retry', 'remove'],
  cancelled: ['remove'],
}

/** Errors that a second try of the same file cannot mend. */
const FINAL: ReadonlySet<string> = new Set([
  'too-large',
  'name-taken',
  'conflict',
  'file-changed',
  'file-unreadable',
  'stream-over',
])

/** The share of the bytes that is acknowledged, or that the worker has behind it. */
export function shareOf(view: TaskView): number {
  const { finishing, progress, state } = view
  if (state === 'done') return 1
  if (view.openEnded) return 0
  if (finishing && finishing.total > 0) return Math.min(1, finishing.done / finishing.total)
  return progress.total > 0 ? Math.min(1, progress.acked / progress.total) : 0
}

/** Everything that a row says; `now` is on the clock of `Date.now()`. */
export function phraseOf(view: TaskView, words: Words, now: number): Phrase {
  const actions = ACTIONS[view.state]
  const isFinal = view.state === 'failed' && FINAL.has(view.error?.code ?? '')
  return {
    label: labelOf(view, words),
    tone: TONES[view.state],
    figures: figuresOf(view, words),
    trouble: troubleOf(view, words),
    sentence: sentenceOf(view, words, now),
    actions: isFinal ? actions.filter((action) => action !== 'retry') : actions,
  }
}

function labelOf(view: TaskView, words: Words): string {
  const label = words.text(`state.${view.state}`)
  const { finishing } = view
  return finishing && finishing.done > 0 && finishing.total > 0 && view.state === finishing.phase
    ? `${label} ${words.formats.percent(finishing.done / finishing.total)}`
    : label
}

function figuresOf(view: TaskView, words: Words): string {
  const { formats } = words
  const { acked, bytesPerSecond, etaSeconds, total } = view.progress
  if (view.state === 'done') return formats.bytes(view.size)
  const of = { done: formats.bytes(acked), size: formats.bytes(total || view.size) }
  const said = [view.openEnded ? of.done : words.text('say.of', of)]
  if (view.state === 'uploading' && bytesPerSecond > 0) {
    said.push(formats.speed(bytesPerSecond))
    if (etaSeconds !== null) said.push(words.text('say.left', { time: formats.duration(etaSeconds) }))
  }
  return joined(said)
}

function troubleOf(view: TaskView, words: Words): string {
  const { resentBytes, resumes, retries } = view.progress
  const said: string[] = []
  if (resumes > 0) said.push(words.count('say.resumes', resumes))
  if (retries > 0) said.push(words.count('say.retries', retries))
  if (resentBytes > 0) said.push(words.text('say.resent', { size: words.formats.bytes(resentBytes) }))
  return joined(said)
}

/** Facts in a line that breaks between them, never within one. */
export function joined(facts: readonly string[]): string {
  return facts.map((fact) => fact.replaceAll(' ', '\u00a0')).join(' · ')
}

function sentenceOf(view: TaskView, words: Words, now: number): string {
  const { formats } = words
  const { state } = view
  if (state === 'failed') return view.error ? explain(view.error, words) : words.text('error.unknown')
  if (state === 'uploading') return view.warning ? detour(view.warning, words) : ''
  if (state === 'done') {
    const key = view.result?.verified ? 'say.done' : 'say.doneUnverified'
    return words.text(key, { size: formats.bytes(view.size) })
  }
  if (state === 'queued') return ''
  const { acked, total } = view.progress
  const done = formats.bytes(acked)
  // What had all its bytes stays on the server.
  const isLate = state === 'cancelled' && total > 0 && acked >= total
  const said = words.text(isLate ? 'say.cancelledLate' : `say.${state}`, { done, size: formats.bytes(view.size) })
  if (state === 'needs-file' && view.warning) return `${detour(view.warning, words)} ${said}`
  const wait = state === 'waiting' && view.retryAt !== undefined ? (view.retryAt - now) / 1000 : 0
  if (wait <= 0) return said
  const next = words.text('net.retryIn', { time: formats.duration(wait) })
  // "Sek." has the full stop of the sentence by itself.
  return `${said} ${next}${next.endsWith('.') ? '' : '.'}`
}

/** What was in the way, and that it goes on around it. */
function detour({ code, name = '', bytes = 0 }: Warning, words: Words): string {
  return words.text(`warning.${code}`, { name, size: words.formats.bytes(bytes) })
}

/** What went wrong and what can be done about it, in a sentence of the reader's language. */
export function explain(error: UploadError, words: Words): string {
  const byProblem = `problem.${error.problem}`
  if (error.problem && words.has(byProblem)) return words.text(byProblem, { detail: error.message })
  const { limit } = error
  if (error.problem === 'upload-too-large' && limit) {
    return words.text('error.too-large-by', { size: words.formats.bytes(limit) })
  }
  const byCode = `error.${error.code}`
  return words.text(words.has(byCode) ? byCode : 'error.unknown', { status: String(error.status ?? '–') })
}
