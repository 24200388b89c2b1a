import type { Lazy } from '../core/lazy.js'
import type { Transport } from '../core/seams.js'

/** A protocol whose code lies in a file of its own. */
export function later(outOfOrder: boolean, lazy: Lazy<Transport>): Transport {
  return {
    outOfOrder,
    create: async (...args) => (await lazy.get()).create(...args),
    status: async (...args) => (await lazy.get()).status(...args),
    put: async (...args) => (await lazy.get()).put(...args),
    complete: async (...args) => (await lazy.get()).complete(...args),
    remove: async (...args) => (await lazy.get()).remove(...args),
  }
}
