import { UploadError } from '../core/errors.js'
import { Lazy } from '../core/lazy.js'
import type { Transport } from '../core/seams.js'

/** A protocol whose code comes with its first request. */
export function later(outOfOrder: boolean, load: () => Promise<Transport>): Transport {
  const lazy = new Lazy(load)
  const get = (): Promise<Transport> =>
    lazy.get().catch((cause: unknown) => {
      throw new UploadError('network', 'a part of the page could not be loaded', { retryable: true, cause })
    })
  return {
    outOfOrder,
    create: async (...args) => (await get()).create(...args),
    status: async (...args) => (await get()).status(...args),
    put: async (...args) => (await get()).put(...args),
    complete: async (...args) => (await get()).complete(...args),
    remove: async (...args) => (await get()).remove(...args),
  }
}
