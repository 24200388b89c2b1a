/** What a page sees of the client. Sizes are bytes, times milliseconds; what is injected is in `seams.ts`. */
import type { UploadError, Warning } from './errors.js'
import type {
  BodyPolicy,
  Env,
  Finishing,
  Hasher,
  HttpClient,
  Meta,
  Part,
  Protocol,
  Ranges,
  ResumeStore,
  Transport,
} from './seams.js'

export type * from './seams.js'

/** Where an upload stands. `elsewhere`: another tab has it; `resume()` takes it over. `checking`: the file is read again here. */
export type State =
  | 'queued'
  | 'preparing'
  | 'uploading'
  | 'waiting'
  | 'paused'
  | 'needs-file'
  | 'needs-permission'
  | 'elsewhere'
  | 'verifying'
  | 'assembling'
  | 'checking'
  | 'done'
  | 'failed'
  | 'cancelled'

export interface Progress {
  /** Bytes that the server has acknowledged; `inFlight` are on their way on top of them. */
  readonly acked: number
  readonly inFlight: number
  readonly total: number
  /** From acknowledged bytes alone; 0 while nothing is sent. `etaSeconds` is null while unknown. */
  readonly bytesPerSecond: number
  readonly etaSeconds: number | null
  readonly resumes: number
  readonly retries: number
  readonly resentBytes: number
}
export interface UploadResult {
  readonly id: string
  readonly url: string
  readonly size: number
  readonly sha256?: string
  /** The whole file's SHA-256 as it was computed here, if it was. */
  readonly ownSha256?: string
  /** The server's SHA-256 is the one computed here, of the whole file or of every chunk that was sent. */
  readonly verified: boolean
}

/** What a file must offer. `File` fits; so does anything that can be read in slices. */
export interface Source {
  readonly name: string
  readonly size: number
  readonly type?: string
  readonly lastModified?: number
  readonly relativePath?: string
  readonly handle?: FileSystemFileHandle
  slice(start: number, end: number): Blob | Uint8Array<ArrayBuffer> | Promise<Blob | Uint8Array<ArrayBuffer>>
}
export type Chosen = FileList | Iterable<Source> | DataTransfer | ClipboardEvent | DragEvent
/** A stream, as of a recorder, is sent as it comes, one chunk held at a time; give it a name. A reload ends it. */
export type AddInput = Chosen | ReadableStream<Uint8Array>
export interface AddOptions {
  readonly meta?: Meta
  /** `name` and `type` of a stream, which has neither by itself. */
  readonly name?: string
  readonly type?: string
  readonly start?: boolean
}
export interface CancelOptions {
  readonly deleteOnServer?: boolean
}
export interface RequestContext {
  readonly method: string
  readonly url: string
  /** The last answer was 401. */
  readonly refresh: boolean
}
export type HeaderSource =
  | Record<string, string>
  | ((ctx: RequestContext) => Record<string, string> | Promise<Record<string, string>>)

export interface UploaderOptions {
  /** Of the chunk API (`/upload`), or of tus and the draft (`/files`). */
  readonly endpoint: string | URL
  readonly protocol?: Protocol
  readonly chunkSize?: number | { readonly min?: number; readonly max?: number; readonly targetMs?: number }
  /** Requests at a time over all files; `auto`: 4, or 2 where data or memory are short, or 6 over HTTP/2. */
  readonly parallel?: number | 'auto'
  readonly checksum?: 'sha-256' | false
  /** `whole-file` reads every file once more; the default compares what was computed of chunks anyway. */
  readonly verify?: 'chunk-tree' | 'whole-file' | false
  readonly headers?: HeaderSource
  readonly withCredentials?: boolean
  readonly retry?: {
    readonly maxElapsedMs?: number
    readonly baseMs?: number
    readonly capMs?: number
    shouldRetry?(error: UploadError, attempt: number): boolean
  }
  readonly stallTimeoutMs?: number
  readonly probe?: 'head' | false
  readonly persist?: 'auto' | 'handles' | 'metadata' | false
  /** Whose uploads these are: never resumed under another scope. */
  readonly scope?: string
  /** What the server calls a file. Default: its path with `/` made `__`; `(2)` is added where a name is taken. */
  readonly nameOf?: (source: Source) => string
  readonly onNameTaken?: 'rename' | 'fail'
  readonly keepAwake?: boolean
  readonly warnOnLeave?: boolean
  readonly body?: BodyPolicy
  readonly store?: ResumeStore
  readonly transport?: Transport
  readonly hasher?: Hasher
  readonly net?: HttpClient
  /** The surroundings; what is not given is the browser's. */
  readonly env?: Partial<Env>
}

/** How far the second reading of the file is here, in bytes (`verify: 'whole-file'`). */
export interface Checking {
  readonly phase: 'checking'
  readonly done: number
  readonly total: number
}
/** An immutable view of one upload; the same object as long as nothing has changed. */
export interface TaskView {
  readonly id: string
  readonly name: string
  readonly relativePath?: string
  readonly size: number
  /** Where it ends is not known yet: `size` and `progress.total` are of what has come so far. */
  readonly openEnded?: boolean
  readonly type: string
  readonly state: State
  readonly progress: Progress
  readonly finishing?: Finishing | Checking
  readonly error?: UploadError
  readonly warning?: Warning
  /** When the next try is due, on the clock of `Date.now()`. */
  readonly retryAt?: number
  readonly result?: UploadResult
}
export interface Snapshot {
  readonly tasks: ReadonlyArray<TaskView>
  readonly totals: Progress
  readonly counts: Readonly<Partial<Record<State, number>>>
  readonly connection: Connection
}
export interface Connection {
  readonly state: 'online' | 'waiting'
  readonly retryAt?: number
}
export interface Lane {
  readonly lane: number
  readonly start: number
  readonly end: number
  readonly sent: number
  readonly tries: number
  /** When it was begun, on the clock of `Date.now()`. */
  readonly since: number
}
/** A request with bytes of the file that is over: when, on which lane, and what the server took of it. */
export interface Sending {
  readonly lane: number
  readonly start: number
  readonly end: number
  readonly since: number
  readonly until: number
  /** `stopped`: by a pause or by the network, not by a fault. */
  readonly outcome: 'stored' | 'failed' | 'stopped'
  readonly stored: number
}
/** Cells of the chunk map. */
export const CELL = { empty: 0, inFlight: 1, partly: 2, stored: 3, verified: 4, resent: 5, failed: 6 } as const

export interface UploadTask {
  readonly id: string
  readonly name: string
  readonly relativePath?: string
  readonly state: State
  readonly progress: Progress
  readonly view: TaskView
  readonly received: Ranges
  readonly lanes: ReadonlyArray<Lane>
  /** The requests that are over, by their ends; the last few thousand. */
  readonly history: ReadonlyArray<Sending>
  readonly parts: ReadonlyArray<Part>
  /** The chunk map in `cells` equal parts of the file, each one of `CELL`. */
  bitmap(cells: number): Uint8Array
  /** Never an unhandled rejection. Rejects with `UploadError` if the upload fails or is cancelled. */
  readonly done: Promise<UploadResult>
  pause(): void
  /** Goes on: after a pause, a failure or a wait; asks for leave to read the file; takes over from another tab. */
  resume(): void
  cancel(options?: CancelOptions): Promise<void>
  /** Gives a restored upload its file again. */
  attach(file: Source): Promise<'match' | 'mismatch'>
}
export interface Events {
  added: { readonly tasks: ReadonlyArray<UploadTask> }
  removed: { readonly task: UploadTask }
  state: { readonly task: UploadTask; readonly from: State; readonly to: State }
  warning: Warning & { readonly task: UploadTask }
  connection: Connection
}
export interface Uploader {
  readonly options: UploaderOptions
  /** Starts at once. Files of a drop are read before this returns, so call it inside the event's handler. */
  add(input: AddInput, options?: AddOptions): Promise<UploadTask[]>
  readonly tasks: ReadonlyArray<UploadTask>
  readonly totals: Progress
  task(id: string): UploadTask | undefined
  /** After a reload: unfinished uploads, as `needs-permission` (one click), `needs-file`, or on their way already. */
  restore(): Promise<UploadTask[]>
  /** Takes an upload that has ended off the list. */
  remove(id: string): void
  pauseAll(): void
  resumeAll(): void
  cancelAll(options?: CancelOptions): Promise<void>
  subscribe(fn: () => void): () => void
  /** The same object until something changes, at most ten times a second. */
  getSnapshot(): Snapshot
  on<K extends keyof Events>(kind: K, fn: (event: Events[K]) => void): () => void
  [Symbol.asyncDispose](): Promise<void>
}
