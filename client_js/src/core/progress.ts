import type { Room } from './room.js'
import { eta } from './speed.js'
import type { Progress, State } from './types.js'
import type { Transfer } from './upload.js'

/** How far an upload is. `sending`: its bytes are on their way, so that a speed means something. */
export function progressOf(transfer: Transfer, acked: number, sending: boolean): Progress {
  const { size, resumes, retries, resentBytes, room, speed } = transfer
  const bytesPerSecond = sending ? speed.perSecond(room.clock.now()) : 0
  const inFlight = Math.min(transfer.inFlight, size - acked)
  const etaSeconds = eta(size - acked, bytesPerSecond)
  return { acked, inFlight, total: size, bytesPerSecond, etaSeconds, resumes, retries, resentBytes }
}

/** Where an upload stands whose bytes may be sent. */
export function stateOf(transfer: Transfer, { gate, clock }: Room): State {
  if (gate.shut) return 'waiting'
  if (transfer.flights.size) return 'uploading'
  if (transfer.blockedUntil > clock.now()) return 'waiting'
  if (transfer.session && (transfer.received.total || transfer.hasAll)) return 'uploading'
  return transfer.opening || transfer.session ? 'preparing' : 'queued'
}
