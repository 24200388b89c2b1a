import type { Hasher } from '../core/seams.js'

export interface Ask {
  readonly id: number
  readonly kind: 'digest' | 'whole'
  readonly data: Blob | Uint8Array<ArrayBuffer>
}
export interface Told {
  readonly id: number
  readonly hex?: string
  readonly error?: { readonly name: string; readonly message: string }
}

/** Hashes in workers, made when the first digest is asked for. */
export class HashPool implements Hasher {
  readonly #workers: Worker[] = []
  readonly #waiting = new Map<number, { resolve(hex: string): void; reject(error: Error): void; retry(): void }>()
  #broken = false
  #last = 0

  /** `make` starts one worker; `here` hashes where workers cannot be had. */
  constructor(
    readonly make: () => Worker,
    readonly here: () => Promise<Hasher>,
    readonly size = 2,
  ) {}

  digest(data: Blob | Uint8Array<ArrayBuffer>): Promise<string> {
    return this.#ask('digest', data)
  }

  whole(data: Blob): Promise<string> {
    return this.#ask('whole', data)
  }

  close(): void {
    for (const worker of this.#workers.splice(0)) worker.terminate()
    for (const { reject } of this.#waiting.values()) reject(new Error('the hasher was closed'))
    this.#waiting.clear()
  }

  async #ask(kind: Ask['kind'], data: Blob | Uint8Array<ArrayBuffer>): Promise<string> {
    if (this.#broken) return this.#without(kind, data)
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const retry = (): void => void this.#without(kind, data).then(resolve, reject)
      this.#waiting.set(id, { resolve, reject, retry })
      try {
        this.#worker(id).postMessage({ id, kind, data } satisfies Ask)
      } catch {
        this.#give_up()
      }
    })
  }

  async #without(kind: Ask['kind'], data: Blob | Uint8Array<ArrayBuffer>): Promise<string> {
    const hasher = await this.here()
    return kind === 'whole' && hasher.whole && data instanceof Blob ? hasher.whole(data) : hasher.digest(data)
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

  #told({ id, hex, error }: Told): void {
    const asked = this.#waiting.get(id)
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
