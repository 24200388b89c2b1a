import type { Hasher } from '../core/seams.js'
import { SMALL } from '../core/source.js'
import { HashPool } from './pool.js'
import { sha256 } from './sha256.js'
import { startWorker } from './start.js'

/** Hashes in workers, or in this thread where there are none, or where asking one would take longer than hashing. */
export function hasher(): Hasher {
  if (typeof Worker === 'undefined') return sha256
  const pool = new HashPool(startWorker, async () => sha256)
  const isQuick = (data: Blob | Uint8Array): boolean =>
    data instanceof Uint8Array && data.length <= SMALL && !!globalThis.crypto?.subtle
  return {
    digest: (data) => (isQuick(data) ? sha256 : pool).digest(data),
    whole: (data, watch) => pool.whole(data, watch),
    close: () => pool.close(),
  }
}
