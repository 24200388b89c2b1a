import type { Finishing, Part, Standing } from '../core/seams.js'
import { isObject, type Json, numberOf, textOf } from '../net/answers.js'

/** The public words for where an upload stands. */
export const STATES = ['receiving', 'assembling', 'verifying', 'done', 'failed', 'expired', 'cancelled'] as const

/** How an upload stands, from the server's manifest. */
export function standingOf(manifest: Json): Standing {
  const parts = listOf(manifest.chunks).flatMap((one): Part[] => {
    const [offset, size] = [numberOf(one.offset), numberOf(one.size)]
    return offset === undefined || size === undefined ? [] : [{ offset, size, sha256: textOf(one.sha256) }]
  })
  const failure = isObject(manifest.failure)
    ? (textOf(manifest.failure.detail) ?? textOf(manifest.failure.code))
    : undefined
  return {
    state: STATES.find((state) => state === manifest.state) ?? 'receiving',
    received: parts.map(({ offset, size }) => [offset, offset + size] as const),
    parts,
    length: numberOf(manifest.length),
    finishing: finishingOf(manifest.progress),
    result: resultOf(manifest.result),
    failure,
  }
}

export function finishingOf(said: unknown): Finishing | undefined {
  if (!isObject(said)) return undefined
  const [done, total] = [numberOf(said.done), numberOf(said.total)]
  if (done === undefined || total === undefined) return undefined
  return { phase: said.phase === 'assembling' ? 'assembling' : 'verifying', done, total }
}

function resultOf(said: unknown): Standing['result'] {
  if (!isObject(said)) return undefined
  return { url: textOf(said.content) ?? '', size: numberOf(said.size) ?? 0, sha256: textOf(said.sha256) }
}

function listOf(said: unknown): Json[] {
  return Array.isArray(said) ? said.filter(isObject) : []
}
