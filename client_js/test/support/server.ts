import { createHash } from 'node:crypto'
import { ByteRanges } from '../../src/core/ranges.js'
import type { HttpClient, HttpRequest, HttpResponse } from '../../src/core/seams.js'
import type { FakeClock } from './clock.js'

export interface Kept {
  id: string
  name: string
  size: number
  bytes: Uint8Array
  ranges: ByteRanges
  parts: { offset: number; size: number; sha256: string }[]
  state: string
  key: string
  meta: Record<string, string>
}
export type Rule = (
  request: HttpRequest,
  body: Uint8Array,
) => HttpResponse | 'drop' | 'hang' | undefined | Promise<HttpResponse | 'drop' | 'hang' | undefined>

export const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export function answer(status: number, body: unknown = '', headers: Record<string, string> = {}): HttpResponse {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return {
    status,
    text: typeof body === 'string' ? body : JSON.stringify(body),
    header: (name) => lower.get(name.toLowerCase()) ?? null,
  }
}
export const problem = (status: number, code: string, facts: object = {}, headers: Record<string, string> = {}) =>
  answer(status, { code, detail: code, ...facts }, headers)

/** The chunk API in memory, over a line whose speed is in the fake clock's bytes per second. */
export class FakeServer implements HttpClient {
  readonly files = new Map<string, Kept>()
  readonly log: string[] = []
  readonly requests: HttpRequest[] = []
  /** Asked in order before the server itself answers. */
  rules: Rule[] = []
  bytesPerSecond = Number.POSITIVE_INFINITY
  online = true
  /** After how many questions a sealed upload is done. */
  verifies = 1
  spoil = false
  active = 0
  most = 0
  #last = 0

  constructor(readonly clock: FakeClock) {}

  count(start: string): number {
    return this.log.filter((line) => line.startsWith(start)).length
  }

  file(name: string): Kept {
    const found = [...this.files.values()].filter((one) => one.name === name).at(-1)
    if (!found) throw new Error(`no ${name}`)
    return found
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    const path = new URL(request.url).pathname
    this.log.push(
      `${request.method} ${path}${request.headers['Upload-Offset'] ? ` @${request.headers['Upload-Offset']}` : ''}`,
    )
    this.requests.push(request)
    this.active += 1
    this.most = Math.max(this.most, this.active)
    try {
      return await Promise.race([this.#work(request, path), gone(request.signal)])
    } finally {
      this.active -= 1
    }
  }

  async #work(request: HttpRequest, path: string): Promise<HttpResponse> {
    if (!this.online) throw new TypeError('offline')
    const body = await bytesOf(request)
    await this.#carry(request, body.length)
    for (const rule of this.rules) {
      const said = await rule(request, body)
      if (said === 'drop') throw new TypeError('connection reset')
      if (said === 'hang') return new Promise(() => undefined)
      if (said) return said
    }
    return this.#answer(request, path, body)
  }

  async #carry(request: HttpRequest, size: number): Promise<void> {
    if (!size || this.bytesPerSecond === Number.POSITIVE_INFINITY) return
    for (let quarter = 1; quarter <= 4; quarter++) {
      await new Promise<void>((resolve) => this.clock.after((size / 4 / this.bytesPerSecond) * 1000, resolve))
      if (request.signal.aborted) throw new TypeError('aborted')
      request.onProgress?.((size * quarter) / 4)
    }
  }

  #answer(request: HttpRequest, path: string, body: Uint8Array): HttpResponse {
    const [, , segment = ''] = path.split('/')
    if (request.method === 'HEAD') return answer(405)
    if (request.method === 'POST' && !segment) return this.#create(request, JSON.parse(new TextDecoder().decode(body)))
    if (segment === 'complete') return this.#complete(JSON.parse(new TextDecoder().decode(body)))
    const file = this.files.get(segment)
    if (!file) return problem(404, 'not-found')
    if (request.method === 'DELETE') {
      file.state = 'cancelled'
      return answer(204)
    }
    if (request.method === 'GET') return this.#manifest(file)
    return this.#store(request, file, body)
  }

  #create(request: HttpRequest, said: { name: string; size?: number; metadata: Record<string, string> }): HttpResponse {
    const key = request.headers['Idempotency-Key'] ?? ''
    const mine = [...this.files.values()].find((one) => one.key === key)
    const held =
      mine ??
      [...this.files.values()].find(
        (one) => one.name === said.name && !['failed', 'cancelled', 'expired'].includes(one.state),
      )
    if (!mine && held?.state === 'done') return problem(409, 'name-taken')
    if (held && said.size !== undefined && held.size !== said.size) return problem(409, 'length-conflict')
    const file = held ?? this.keep(said.name, said.size ?? 0, key, said.metadata)
    const limits = { max_chunk: 64 << 20, max_chunks: 10_000, max_size: 2 ** 40 }
    return answer(held ? 200 : 201, { id: file.id, state: file.state, limits, urls: {} })
  }

  keep(name: string, size: number, key = '', meta: Record<string, string> = {}): Kept {
    const id = `id${++this.#last}`
    const file: Kept = {
      id,
      name,
      size,
      key,
      meta,
      bytes: new Uint8Array(size),
      ranges: new ByteRanges(),
      parts: [],
      state: 'receiving',
    }
    this.files.set(id, file)
    return file
  }

  #store(request: HttpRequest, file: Kept, body: Uint8Array): HttpResponse {
    const at = Number(request.headers['Upload-Offset'])
    const digest = request.headers['Content-Digest']
    if (digest && digest !== `sha-256=:${Buffer.from(sha(body), 'hex').toString('base64')}:`)
      return problem(422, 'digest-mismatch')
    if (['failed', 'cancelled', 'expired'].includes(file.state))
      return problem(409, 'upload-over', { reason: file.state })
    if (file.state !== 'receiving') return problem(409, 'already-complete')
    const again = file.ranges.covers(at, at + body.length)
    if (again && !Buffer.from(file.bytes.subarray(at, at + body.length)).equals(Buffer.from(body)))
      return problem(409, 'part-conflict')
    this.put(file, at, body)
    return answer(again ? 200 : 201, { id: file.id })
  }

  put(file: Kept, at: number, body: Uint8Array): void {
    if (at + body.length > file.size) {
      // Its length was not told: it is as long as what has come.
      const longer = new Uint8Array(at + body.length)
      longer.set(file.bytes)
      file.bytes = longer
      file.size = longer.length
    }
    file.bytes.set(body, at)
    file.ranges.add(at, at + body.length)
    file.parts.push({ offset: at, size: body.length, sha256: sha(body) })
  }

  #complete(said: { file_unique_name: string; size: number }): HttpResponse {
    const file = this.files.get(said.file_unique_name)
    if (!file) return problem(404, 'not-found')
    if (!file.ranges.covers(0, file.size)) return problem(409, 'incomplete', { holes: file.ranges.holes(0, file.size) })
    if (file.state === 'receiving') file.state = 'verifying'
    return answer(202, { id: file.id, state: file.state, status: `/uploads/${file.id}` })
  }

  #asked = new Map<string, number>()

  #manifest(file: Kept): HttpResponse {
    if (file.state === 'verifying') {
      const asked = (this.#asked.get(file.id) ?? 0) + 1
      this.#asked.set(file.id, asked)
      if (asked >= this.verifies) file.state = 'done'
    }
    const sha256 = this.spoil ? 'f'.repeat(64) : sha(file.bytes)
    const result = file.state === 'done' ? { content: `/files/${file.id}/content`, size: file.size, sha256 } : null
    const failure = file.state === 'failed' ? { code: 'damaged', detail: 'damaged' } : null
    return answer(200, { id: file.id, state: file.state, length: file.size, chunks: file.parts, result, failure })
  }
}

function gone(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new TypeError('aborted'))
    signal.addEventListener('abort', () => reject(new TypeError('aborted')))
  })
}

async function bytesOf({ body }: HttpRequest): Promise<Uint8Array> {
  if (body === undefined) return new Uint8Array()
  if (typeof body === 'string') return new TextEncoder().encode(body)
  return body instanceof Blob ? new Uint8Array(await body.arrayBuffer()) : body
}
