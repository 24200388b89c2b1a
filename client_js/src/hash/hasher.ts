import { Lazy } from '../core/lazy.js'
import type { Hasher } from '../core/seams.js'
import { HashPool } from './pool.js'
import { startWorker } from './start.js'

/** Hashes in workers, or in this thread where there are none. */
export function hasher(): Hasher {
  const here = new Lazy(async () => (await import('./sha256.js')).sha256)
  if (typeof Worker !== 'undefined') return new HashPool(startWorker, () => here.get())
  return {
    digest: async (data) => (await here.get()).digest(data),
    whole: async (data, watch) => (await here.get()).whole?.(data, watch) ?? '',
    close: () => undefined,
  }
}
