import type { Hasher, Watch } from '../core/seams.js'

type Bytes = Blob | Uint8Array<ArrayBuffer>
export type Ask =
  | { readonly id: number; readonly kind: 'digest'; readonly data: Bytes }
  | { readonly id: number; readonly kind: 'whole'; readonly data: Blob }
  | { readonly id: number; readonly kind: 'stop' }
/** A digest, why there is none, or how far it is. */
export interface Told {
  readonly id: number
  readonly done?: number
  readonly hex?: string
  readonly error?: { readonly name: string; readonly message: string }
}

interface Asked {
  resolve(hex: string): void
  reject(error: Error): void
  retry(): void
  readonly watch: Watch
}

/** Hashes in workers, made when the first digest is asked for. */
export class HashPool implements Hasher {
  readonly #workers: Worker[] = []
  readonly #waiting = new Map<number, Asked>()
  #broken = false
  /** From 0 on: the first is asked of the first worker. */
  #last = -1

  /** `make` starts one worker; `here` hashes where workers cannot be had. */
  constructor(
    readonly make: () => Worker,
    readonly here: () => Promise<Hasher>,
    readonly size = 2,
  ) {}

  digest(data: Bytes): Promise<string> {
    return this.#ask(
      (id) => ({ id, kind: 'digest', data }),
      async () => (await this.here()).digest(data),
    )
  }

  whole(data: Blob, watch: Watch = {}): Promise<string> {
    const without = async (): Promise<string> => (await this.here()).whole?.(data, watch) ?? ''
    return this.#ask((id) => ({ id, kind: 'whole', data }), without, watch)
  }

  close(): void {
    for (const worker of this.#workers.splice(0)) worker.terminate()
    for (const { reject } of this.#waiting.values()) reject(new Error('the hasher was closed'))
    this.#waiting.clear()
  }

  /** `without`: the same, where there is no worker to ask. */
  async #ask(ask: (id: number) => Ask, without: () => Promise<string>, watch: Watch = {}): Promise<string> {
    if (this.#broken) return without()
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const retry = (): void => void without().then(resolve, reject)
      this.#waiting.set(id, { resolve, reject, retry, watch })
      watch.signal?.addEventListener('abort', () => this.#stop(id))
      try {
        this.#worker(id).postMessage(ask(id))
      } catch {
        this.#give_up()
      }
    })
  }

  #stop(id: number): void {
    const asked = this.#waiting.get(id)
    if (!asked) return
    this.#waiting.delete(id)
    this.#workers[id % this.size]?.postMessage({ id, kind: 'stop' } satisfies Ask)
    asked.reject(new DOMException('stopped', 'AbortError'))
  }

  #worker(id: number): Worker {
    const known = this.#workers[id % this.size]
    if (known || this.#workers.length >= this.size) return known as Worker
    const worker = this.make()
    worker.onmessage = ({ data }: MessageEvent<Told>) => this.#told(data)
    // A page's policy may forbid workers, which is told only here.
    worker.onerror = () => this.#give_up()
    this.#workers.push(worker)
    return worker
  }

  #told({ id, hex, error, done }: Told): void {
    const asked = this.#waiting.get(id)
    if (done !== undefined) {
      asked?.watch.onProgress?.(done)
      return
    }
    this.#waiting.delete(id)
    if (hex !== undefined) asked?.resolve(hex)
    else asked?.reject(Object.assign(new Error(error?.message), { name: error?.name ?? 'Error' }))
  }

  #give_up(): void {
    this.#broken = true
    for (const worker of this.#workers.splice(0)) worker.terminate()
    const asked = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { retry } of asked) retry()
  }
}
