import { UploadError } from './errors.js'
import type { Hasher, Standing } from './seams.js'
import type { Source, UploaderOptions, UploadResult } from './types.js'

export interface Evidence {
  readonly name: string
  readonly size: number
  readonly source: Source | null
  readonly hasher: Hasher | null
  /** The SHA-256 of the file, if it went in one piece. */
  readonly known?: string
  /** Every byte is known by the digest of its part to be the file's. */
  readonly proven: boolean
  readonly verify: NonNullable<UploaderOptions['verify']>
}

/** Compares the server's digest with what is known here. Throws `UploadError` if the server has another file. */
export async function prove(
  id: string,
  result: NonNullable<Standing['result']>,
  evidence: Evidence,
): Promise<UploadResult> {
  const { name, size, source, hasher, verify } = evidence
  let own = evidence.known
  if (!own && verify === 'whole-file' && hasher?.whole && source) {
    const all = await source.slice(0, size)
    own = await hasher.whole(all instanceof Blob ? all : new Blob([all])).catch(() => undefined)
  }
  if (result.size !== size || (own && result.sha256 && own !== result.sha256)) {
    throw new UploadError('checksum', `what the server has of ${name} is not this file`)
  }
  const equal = own ? true : verify === 'chunk-tree' && evidence.proven
  return { id, ...result, ...(own && { ownSha256: own }), verified: !!verify && !!result.sha256 && equal }
}
