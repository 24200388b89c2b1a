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
