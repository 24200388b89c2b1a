import type { Ask, Told } from './pool.js'
import { sha256 } from './sha256.js'

/** The worker: one digest for every message. */
interface Scope {
  onmessage: ((event: MessageEvent<Ask>) => void) | null
  postMessage(message: Told): void
}
const scope = globalThis as unknown as Scope

scope.onmessage = ({ data: { id, kind, data } }) => {
  const work = kind === 'whole' && data instanceof Blob ? sha256.whole?.(data) : sha256.digest(data)
  work?.then(
    (hex) => scope.postMessage({ id, hex }),
    (error: unknown) => {
      const { name, message } = error instanceof Error ? error : new Error(String(error))
      scope.postMessage({ id, error: { name, message } })
    },
  )
}
