import type { History } from './history.js'
import type { ByteRanges } from './ranges.js'
import type { Room } from './room.js'
import type { Worker } from './scheduler.js'
import type { Part, UploadSession } from './seams.js'
import type { Speed } from './speed.js'
import type { Lane, Source } from './types.js'

export interface Flight extends Lane {
  sent: number
  lane: number
  since: number
  /** Lanes there were when it began. */
  readonly limit: number
}

/** Bytes on their way to the server: those of a file, or of a stream. */
export interface Moving extends Worker {
  readonly room: Room
  source: Source | null
  session: UploadSession | undefined
  /** In bytes; of what has come so far, as long as `openEnded`. */
  readonly size: number
  /** Nobody knows yet where it ends. */
  readonly openEnded: boolean
  readonly received: ByteRanges
  readonly speed: Speed
  readonly flights: ReadonlyMap<symbol, Flight>
  readonly parts: ReadonlyArray<Part>
  readonly resent: ByteRanges
  readonly failedAt: ByteRanges
  readonly history: History
  /** The run at the beginning of the file, with its digest: what tells this file from another. */
  readonly first: Part | undefined
  readonly opening: boolean
  readonly resumes: number
  readonly retries: number
  readonly resentBytes: number
  readonly hasAll: boolean
  /** Every byte is known to be the file's by its digest. */
  readonly proven: boolean
  readonly inFlight: number
  /** Goes on with an upload that was begun before. */
  adopt(session: UploadSession, first: Part | undefined): void
  /** Asks once how it stands, before there is a file to send. */
  look(): Promise<void>
  /** Patience and back-off begin anew. */
  start(): void
  /** Nothing more is sent until `start`; what is on its way is broken off at once. */
  halt(): void
  breakOff(): void
  /** The network is back: no waiting. */
  reconnected(): void
  /** Nothing of what was there counts any longer. */
  forget(): void
  /** The server has lost or refused something that it had. */
  reopen(): void
  /** It is over: nothing is read any more. */
  close?(): void
}
