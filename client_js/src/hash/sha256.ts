import type { Hasher } from '../core/seams.js'

const BLOCK = 4 * 1024 * 1024

/** SHA-256 in this thread: the browser's own, or WebAssembly where pages without https have none. */
export const sha256: Hasher = {
  async digest(data) {
    const bytes = data instanceof Blob ? await data.arrayBuffer() : data
    if (globalThis.crypto?.subtle) return hex(await crypto.subtle.digest('SHA-256', bytes))
    const { createHash } = await import('./wasm.js')
    return (await createHash()).update(new Uint8Array(bytes instanceof ArrayBuffer ? bytes : bytes)).digest()
  },

  /** The browser's own takes only what is in memory; a file of any size goes through WebAssembly, block by block. */
  async whole(data, { signal, onProgress } = {}) {
    const { createHash } = await import('./wasm.js')
    const hash = await createHash()
    for (let at = 0; at < data.size; at += BLOCK) {
      hash.update(new Uint8Array(await data.slice(at, at + BLOCK).arrayBuffer()))
      signal?.throwIfAborted()
      onProgress?.(Math.min(at + BLOCK, data.size))
    }
    return hash.digest()
  },

  close: () => undefined,
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
