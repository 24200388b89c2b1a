import { UploadError } from './errors.js'
import type { BodyPolicy, Hasher } from './seams.js'
import { SMALL } from './source.js'
import type { Source } from './types.js'

type Policy = Exclude<BodyPolicy, 'auto'>
export type Bytes = Blob | Uint8Array<ArrayBuffer>

/**
 * The bytes from `start` to `end` in the form that is sent. Throws `UploadError` where the file has changed or cannot
 * be read: sent as it is, that would look like a broken network and be tried for ever.
 */
async function bodyOf(source: Source, start: number, end: number, policy: Policy): Promise<Bytes> {
  try {
    const slice = await source.slice(start, end)
    const size = slice instanceof Blob ? slice.size : slice.byteLength
    if (size !== end - start) throw new UploadError('file-changed', `${source.name} is shorter than it was`)
    if (policy === 'slice' && slice instanceof Blob) return slice
    const bytes = slice instanceof Blob ? new Uint8Array(await slice.arrayBuffer()) : slice
    return policy === 'buffer' ? bytes : new Blob([bytes])
  } catch (cause) {
    throw unreadable(cause, source.name)
  }
}

/** What it means that a slice of a file could not be read or hashed. */
function unreadable(cause: unknown, name: string): UploadError {
  if (cause instanceof UploadError) return cause
  const changed = cause instanceof Error && cause.name === 'NotReadableError'
  return changed
    ? new UploadError('file-changed', `${name} has changed since it was chosen, or is no longer readable`, { cause })
    : new UploadError('file-unreadable', `${name} cannot be read`, { cause })
}

/** Makes the bodies of one file, and changes their form where the browser seems to be at fault. */
export class Bodies {
  readonly #failures = new Map<number, number>()

  constructor(
    readonly hasher: Hasher | null,
    public policy: Policy,
  ) {}

  /** The bytes and their SHA-256, which is of exactly what is sent; undefined without a hasher. */
  async make(source: Source, start: number, end: number): Promise<{ body: Bytes; sha256?: string }> {
    const body = await bodyOf(source, start, end, end - start > SMALL ? this.policy : 'buffer')
    try {
      return { body, sha256: await this.hasher?.digest(body) }
    } catch (cause) {
      throw unreadable(cause, source.name)
    }
  }

  /** The bytes at `start` stalled, or came as others than they are: after the second time they take another form. */
  failed(start: number): void {
    const failures = (this.#failures.get(start) ?? 0) + 1
    this.#failures.set(start, failures)
    if (failures >= 2) this.policy = this.policy === 'slice' ? 'blob' : 'buffer'
  }

  went(start: number): void {
    this.#failures.delete(start)
  }
}
