import type { ChunkSizer } from './adapt.js'
import type { Backoff } from './backoff.js'
import type { UploadError, WarningCode, WarningFacts } from './errors.js'
import type { Gate } from './gate.js'
import type { Scheduler } from './scheduler.js'
import type { BodyPolicy, Caller, Clock, Hasher, Standing, Transport } from './seams.js'
import type { Speed } from './speed.js'
import type { UploaderOptions } from './types.js'

/** What all uploads of one uploader share. */
export interface Room {
  readonly options: UploaderOptions
  readonly clock: Clock
  readonly random: () => number
  /** A word that nobody has used. */
  readonly id: () => string
  readonly transport: Transport
  readonly via: Caller
  /** Null: no digests. */
  readonly hasher: Hasher | null
  readonly sizer: ChunkSizer
  readonly gate: Gate
  /** Of all uploads together. */
  readonly speed: Speed
  readonly scheduler: Scheduler
  readonly backoff: Backoff
  readonly maxElapsedMs: number
  readonly body: Exclude<BodyPolicy, 'auto'>
}

/** What becomes of a transfer. Its owner draws the conclusions. */
export interface Fate {
  changed(): void
  /** The upload exists on the server; or has grown there. */
  stored(): void
  /** The server has everything and proves it now, or has done so. */
  sealed(standing?: Standing): void
  failed(error: UploadError): void
  warn(code: WarningCode, facts?: WarningFacts): void
}
