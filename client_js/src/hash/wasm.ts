import { createSHA256 } from 'hash-wasm'

export interface Hash {
  update(bytes: Uint8Array): Hash
  digest(): string
}

/** Loaded only where it is needed. */
export async function createHash(): Promise<Hash> {
  const hash = await createSHA256()
  hash.init()
  const own: Hash = {
    update(bytes) {
      hash.update(bytes)
      return own
    },
    digest: () => hash.digest('hex'),
  }
  return own
}
