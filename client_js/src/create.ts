import type { Source, Uploader, UploaderOptions } from './core/types.js'

/** An uploader to `options.endpoint`. Make one per page, outside of any component; it starts no request by itself. */
export declare function createUploader(options: UploaderOptions): Uploader

/** A source of any blob, as of `await openAsBlob(path)` under Node. */
export function sourceOf(blob: Blob, name: string, more: Partial<Source> = {}): Source {
  return { name, size: blob.size, type: blob.type, slice: (start, end) => blob.slice(start, end), ...more }
}
