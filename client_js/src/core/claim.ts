import { numbered } from './naming.js'

const MOST = 100

/** The name and the key by which an upload is begun; other ones where the name is taken. */
export class Claim {
  name: string
  key: string
  /** It was sent: what is found by this key may be the answer that was lost. */
  asked = false
  #number = 1

  /** `word` makes one that nobody has used. */
  constructor(
    readonly named: string,
    readonly word: () => string,
  ) {
    this.name = named
    this.key = word()
  }

  get isSpent(): boolean {
    return this.#number > MOST
  }

  /** The next upload is another one, of the same name. */
  renew(): void {
    this.asked = false
    this.key = this.word()
  }

  /** Or of the name with the next number. */
  rename(): void {
    this.renew()
    this.#number += 1
    this.name = numbered(this.named, this.#number)
  }
}
