import { UploadError } from './errors.js'
import type { Hasher, Standing, Watch } from './seams.js'
import type { Checking, Source, UploaderOptions, UploadResult } from './types.js'

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

/** What the server says that it has, while it is compared with the file here. That can be stopped, and begun anew. */
export class Comparison {
  /** Known as long as the file is being read again, or that was stopped. */
  claim: NonNullable<Standing['result']> | undefined
  #stop = new AbortController()

  /** Null: it was stopped. Throws as `prove` does. */
  async run(
    id: string,
    result: NonNullable<Standing['result']>,
    evidence: Evidence,
    onProgress: (checking: Checking) => void,
  ): Promise<UploadResult | null> {
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const told = (done: number): void => {
      if (signal.aborted) return
      this.claim = result
      onProgress({ phase: 'checking', done, total: evidence.size })
    }
    try {
      const proof = await prove(id, result, evidence, { signal, onProgress: told })
      return signal.aborted ? null : proof
    } catch (error) {
      if (signal.aborted) return null
      throw error
    }
  }

  stop(): void {
    this.#stop.abort()
  }
}

/** Compares the server's digest with what is known here. Throws `UploadError` if the server has another file. */
export async function prove(
  id: string,
  result: NonNullable<Standing['result']>,
  evidence: Evidence,
  watch: Watch = {},
): Promise<UploadResult> {
  const { name, size, source, hasher, verify } = evidence
  let own = evidence.known
  if (!own && verify === 'whole-file' && hasher?.whole && source) {
    watch.onProgress?.(0)
    const all = await source.slice(0, size)
    own = await hasher.whole(all instanceof Blob ? all : new Blob([all]), watch).catch(() => undefined)
  }
  if (result.size !== size || (own && result.sha256 && own !== result.sha256)) {
    throw new UploadError('checksum', `what the server has of ${name} is not this file`)
  }
  const equal = own ? true : verify === 'chunk-tree' && evidence.proven
  return { id, ...result, ...(own && { ownSha256: own }), verified: !!verify && !!result.sha256 && equal }
}
