import { UploadError } from './errors.js'

/** Something that is loaded when it is first wanted; what could not be loaded is tried again the next time. */
export class Lazy<T> {
  #value: Promise<T> | null = null

  constructor(readonly load: () => Promise<T>) {}

  get(): Promise<T> {
    this.#value ??= this.load().catch((error: unknown) => {
      this.#value = null
      throw error
    })
    return this.#value
  }
}

/** A part of the client that lies in a file of its own. What cannot be fetched is as a server that cannot be reached. */
export function part<T>(load: () => Promise<T>): Lazy<T> {
  return new Lazy(() =>
    load().catch((cause: unknown) => {
      throw new UploadError('network', 'a part of the page could not be loaded', { retryable: true, cause })
    }),
  )
}
