/** All uploads in one line. */

import type { Snapshot } from '../core/types.js'
import type { Words } from './i18n/index.js'
import { joined } from './phrases.js'

/** `3 files · 64% · 2 min`: how all stands, in a line. */
export function summary(snapshot: Snapshot, open: number, share: number, words: Words): string {
  const { etaSeconds } = snapshot.totals
  // What rests has no speed, whatever it was a moment ago.
  const bytesPerSecond = snapshot.counts.uploading ? snapshot.totals.bytesPerSecond : 0
  if (open === 0) {
    const { done = 0, failed = 0 } = snapshot.counts
    const ended = done > 0 ? [words.count('totals.done', done)] : []
    // What has failed may have been scrolled away.
    if (failed > 0) ended.push(words.count('totals.failed', failed))
    return joined(ended) || words.text('totals.idle')
  }
  const said = [words.count('totals.open', open), words.formats.percent(share)]
  if (bytesPerSecond > 0) said.push(words.formats.speed(bytesPerSecond))
  if (bytesPerSecond > 0 && etaSeconds !== null) {
    said.push(words.text('say.left', { time: words.formats.duration(etaSeconds) }))
  }
  return joined(said)
}
