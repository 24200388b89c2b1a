/** Why an upload, or one try of it, did not succeed. */

export type ErrorCode =
  | 'network'
  | 'stalled'
  | 'offline'
  | 'http'
  | 'checksum'
  | 'file-changed'
  | 'file-unreadable'
  | 'too-large'
  | 'expired'
  | 'auth'
  | 'locked'
  | 'quota'
  | 'conflict'
  | 'failed'
  | 'name-taken'
  | 'cancelled'
  | 'stream-over'

/** What an upload meets on its way that does not end it. */
export type WarningCode =
  | 'begun-anew'
  | 'other-file'
  | 'server-differs'
  | 'renamed'
  | 'smaller-chunks'
  | 'damaged'
  | 'file-gone'
  | 'file-changed'
  | 'not-told'
  | 'no-return'

/** What a warning speaks of, if it does of any. */
export interface WarningFacts {
  readonly name?: string
  readonly bytes?: number
}
/** Build on `code`; `message` is a sentence in English. */
export interface Warning extends WarningFacts {
  readonly code: WarningCode
  readonly message: string
}

export interface ErrorFacts {
  readonly status?: number
  /** `code` of the server's problem document. */
  readonly problem?: string
  readonly retryable?: boolean
  /** Milliseconds that the server asks to wait for. */
  readonly retryAfterMs?: number
  /** The largest body or file that the server takes. */
  readonly limit?: number
  readonly cause?: unknown
}

/** Build on `code`; `message` is a sentence for a person. */
export class UploadError extends Error {
  override readonly name = 'UploadError'
  readonly status?: number
  readonly problem?: string
  readonly retryable: boolean
  readonly retryAfterMs?: number
  readonly limit?: number

  constructor(
    readonly code: ErrorCode,
    message: string,
    facts: ErrorFacts = {},
  ) {
    super(message, { cause: facts.cause })
    this.status = facts.status
    this.problem = facts.problem
    this.retryable = facts.retryable ?? false
    this.retryAfterMs = facts.retryAfterMs
    this.limit = facts.limit
  }
}

/** What a request failed by. `creating`: of a request that begins an upload. */
export function errorOf(thrown: unknown, creating: boolean): UploadError {
  if (!(thrown instanceof UploadError)) return new UploadError('http', String(thrown), { cause: thrown })
  // Nothing can have expired that was never begun: the endpoint is another one.
  if (!creating || thrown.code !== 'expired') return thrown
  return new UploadError('http', 'there is no upload server at this address', { status: thrown.status, cause: thrown })
}
