/** What the client asks of its surroundings: protocol, network, hash, store, clock. Injected in tests and under Node. Sizes are bytes, times milliseconds. */
export type Protocol = 'chunk' | 'tus' | 'ietf'
/** Half-open byte ranges in order, none touching another. */
export type Ranges = ReadonlyArray<readonly [start: number, end: number]>
export type Meta = Readonly<Record<string, string>>
/** How far the server's worker is, in bytes, after the last byte has come. */
export interface Finishing {
  readonly phase: 'verifying' | 'assembling'
  readonly done: number
  readonly total: number
}
export type BodyPolicy = 'auto' | 'slice' | 'blob' | 'buffer'

export interface Part {
  readonly offset: number
  readonly size: number
  readonly sha256?: string
}
export interface SourceInfo {
  readonly name: string
  /** Null: it is told at the end. */
  readonly size: number | null
  readonly type: string
  readonly meta: Meta
  /** The same key finds the same upload, so that a creation may be repeated. */
  readonly key: string
}
export interface UploadSession {
  readonly id: string
  readonly url: string
  readonly status?: string
  readonly events?: string
}
export interface Limits {
  readonly maxChunk?: number
  readonly maxChunks?: number
  readonly maxSize?: number
}
/** What the server tells of an upload. */
export interface Standing {
  readonly received: Ranges
  readonly parts: ReadonlyArray<Part>
  readonly length?: number
  readonly state: 'receiving' | 'assembling' | 'verifying' | 'done' | 'failed' | 'expired' | 'cancelled'
  readonly finishing?: Finishing
  readonly result?: { readonly url: string; readonly size: number; readonly sha256?: string }
  readonly failure?: string
}
export interface Chunk {
  readonly start: number
  readonly end: number
  /** Null: nobody knows yet. */
  readonly total: number | null
  readonly body: Blob | Uint8Array<ArrayBuffer>
  /** In hexadecimal digits. */
  readonly sha256?: string
}
export interface Ack {
  /** Bytes from `start` on that are stored. */
  readonly stored: number
  readonly again: boolean
  readonly session?: UploadSession
}
export interface Proof {
  readonly size: number
  readonly chunks: number
  /** The size is told for the first time. */
  readonly openEnded?: boolean
  readonly sha256?: string
}
export interface Caller {
  call(request: Omit<HttpRequest, 'credentials' | 'signal'>, signal: AbortSignal): Promise<HttpResponse>
}
/** One protocol. Refusals are thrown as `UploadError`; answers that need no error are returned. */
export interface Transport {
  readonly outOfOrder: boolean
  /** `joined`: an upload of this name was there before, begun by another key than ours. */
  create(
    info: SourceInfo,
    via: Caller,
    signal: AbortSignal,
  ): Promise<{ session: UploadSession; limits: Limits; joined: boolean; standing?: Standing }>
  status(session: UploadSession, via: Caller, signal: AbortSignal): Promise<Standing>
  put(
    session: UploadSession,
    chunk: Chunk,
    via: Caller,
    signal: AbortSignal,
    onProgress: (sent: number) => void,
  ): Promise<Ack>
  /** No status URL in the answer: the server proves nothing further. */
  complete(session: UploadSession, proof: Proof, via: Caller, signal: AbortSignal): Promise<UploadSession>
  remove(session: UploadSession, via: Caller, signal: AbortSignal): Promise<void>
}
export interface HttpRequest {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body?: Blob | Uint8Array<ArrayBuffer> | string
  readonly signal: AbortSignal
  readonly credentials: boolean
  onProgress?(sent: number): void
}
export interface HttpResponse {
  readonly status: number
  readonly text: string
  header(name: string): string | null
}
export interface HttpClient {
  /** Rejects if there is no answer, whatever the reason. */
  send(request: HttpRequest): Promise<HttpResponse>
  /** The text of the answer as it comes; for server-sent events. */
  stream?(request: HttpRequest): Promise<{ readonly status: number; readonly text: AsyncIterable<string> }>
}
export interface Watch {
  readonly signal?: AbortSignal
  /** Bytes that are behind it. */
  onProgress?(done: number): void
}
/** SHA-256 in hexadecimal digits, off the main thread. Rejects where the file cannot be read. */
export interface Hasher {
  digest(data: Blob | Uint8Array<ArrayBuffer>): Promise<string>
  /** Of a blob of any size, without holding it in memory. Rejects when `signal` says so. */
  whole?(data: Blob, watch?: Watch): Promise<string>
  close(): void
}
export interface ResumeRecord {
  readonly key: string
  readonly endpoint: string
  readonly protocol: Protocol
  readonly scope: string
  readonly createdAt: number
  readonly name: string
  readonly relativePath?: string
  readonly size: number
  readonly type: string
  readonly lastModified: number
  readonly meta: Meta
  readonly session: UploadSession
  readonly acked: number
  readonly first?: Part
  readonly sealed: boolean
  readonly handle?: FileSystemFileHandle
}
export interface ResumeStore {
  all(): Promise<ResumeRecord[]>
  put(record: ResumeRecord): Promise<void>
  delete(key: string): Promise<void>
}
export interface Clock {
  now(): number
  after(ms: number, fn: () => void): () => void
}
export interface Locks {
  /** Null: somebody else holds it. */
  acquire(name: string, options: { steal?: boolean; onLost: () => void }): Promise<(() => void) | null>
}
export interface Channel {
  post(message: unknown): void
  listen(fn: (message: unknown) => void): () => void
  close(): void
}
export interface Env {
  readonly clock: Clock
  random(): number
  id(): string
  readonly locks: Locks
  channel(name: string): Channel
  /** `back`: the browser believes to be online again. Neither is ever a condition for a try. */
  watchNetwork(on: { gone(): void; back(): void }): () => void
  keepAwake(on: boolean): void
  warnOnLeave(on: boolean): void
  /** 2 where data or memory are short, else 4, or 6 over HTTP/2. */
  lanes(): number
  readonly body: Exclude<BodyPolicy, 'auto'>
}
