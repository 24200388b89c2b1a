import type { Moving } from './moving.js'
import type { Room } from './room.js'
import { eta } from './speed.js'
import type { Progress, State } from './types.js'

/** How far an upload is. `sending`: its bytes are on their way, so that a speed means something. */
export function progressOf(transfer: Moving, acked: number, sending: boolean): Progress {
  const { size, resumes, retries, resentBytes, room, speed } = transfer
  const bytesPerSecond = sending ? speed.perSecond(room.clock.now()) : 0
  const inFlight = Math.min(transfer.inFlight, size - acked)
  const etaSeconds = transfer.openEnded ? null : eta(size - acked, bytesPerSecond)
  return { acked, inFlight, total: size, bytesPerSecond, etaSeconds, resumes, retries, resentBytes }
}

/** Where an upload stands whose bytes may be sent. */
export function stateOf(transfer: Moving, { gate, clock }: Room): State {
  if (gate.shut) return 'waiting'
  if (transfer.flights.size) return 'uploading'
  // One that waits for its own bytes has no time to wait for.
  const { blockedUntil } = transfer
  if (blockedUntil > clock.now() && blockedUntil < Number.POSITIVE_INFINITY) return 'waiting'
  if (transfer.session && (transfer.received.total || transfer.hasAll)) return 'uploading'
  return transfer.opening || transfer.session ? 'preparing' : 'queued'
}
