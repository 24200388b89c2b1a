import type { Locks } from '../core/seams.js'

/** Locks over all tabs of one origin: those of the browser. */
export function webLocks(manager: LockManager): Locks {
  return {
    acquire(name, { steal, onLost }) {
      return new Promise((resolve, reject) => {
        const options = steal ? { steal: true } : { ifAvailable: true }
        let mine = false
        manager
          .request(name, options, (lock) => {
            if (!lock) return resolve(null)
            return new Promise<void>((release) => {
              mine = true
              resolve(() => {
                mine = false
                release()
              })
            })
          })
          .catch((error: unknown) => {
            if (mine) onLost()
            else reject(error)
          })
      })
    },
  }
}

/** Where there are no tabs at all. */
export class LocalLocks implements Locks {
  readonly #held = new Map<string, () => void>()

  async acquire(
    name: string,
    { steal, onLost }: { steal?: boolean; onLost: () => void },
  ): Promise<(() => void) | null> {
    const holder = this.#held.get(name)
    if (holder && !steal) return null
    holder?.()
    this.#held.set(name, onLost)
    return () => {
      if (this.#held.get(name) === onLost) this.#held.delete(name)
    }
  }
}
