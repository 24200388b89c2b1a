import { wait } from './backoff.js'
import { errorOf, type UploadError } from './errors.js'
import type { Flight } from './moving.js'
import type { Room } from './room.js'
import type { UploadSession } from './seams.js'

/** What a request failed by, with what that means for the network. */
export function faultOf(room: Room, thrown: unknown, session: UploadSession | undefined, flight?: Flight): UploadError {
  const error = errorOf(thrown, !session)
  const { code } = error
  if (code === 'stalled') room.scheduler.narrow(flight?.limit)
  if (code === 'network' || code === 'stalled') {
    void room.gate.suspect(code === 'stalled').then(() => room.scheduler.wake())
  }
  return error
}

/** Milliseconds until the next try; null if there is none. */
export function pauseAfter(room: Room, error: UploadError, tries: number, since: number): number | null {
  const { shouldRetry } = room.options.retry ?? {}
  const patient = room.clock.now() - since < room.maxElapsedMs
  if (!error.retryable || !patient || shouldRetry?.(error, tries) === false) return null
  return wait(room.backoff, tries, room.random(), error.code === 'quota', error.retryAfterMs)
}
