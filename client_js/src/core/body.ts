import { UploadError } from './errors.js'
import type { BodyPolicy, Hasher } from './seams.js'
import type { Source } from './types.js'

export type Bytes = Blob | Uint8Array<ArrayBuffer>

/**
 * The bytes from `start` to `end` in the form that is sent. Throws `UploadError` where the file has changed or cannot
 * be read: sent as it is, that would look like a broken network and be tried for ever.
 */
export async function bodyOf(
  source: Source,
  start: number,
  end: number,
  policy: Exclude<BodyPolicy, 'auto'>,
): Promise<Bytes> {
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

/** The SHA-256 of what is sent; undefined without a hasher. Throws `UploadError` where it cannot be read. */
export async function digestOf(hasher: Hasher | null, body: Bytes, name: string): Promise<string | undefined> {
  try {
    return await hasher?.digest(body)
  } catch (cause) {
    throw unreadable(cause, name)
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
