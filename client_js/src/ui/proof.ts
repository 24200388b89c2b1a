/** The SHA-256 of both sides, to be seen and copied. */

import type { UploadTask } from '../core/types.js'
import { copyText } from './copying.js'
import { button, h, icon, setAttribute } from './dom.js'
import type { Words } from './i18n/index.js'

export class Proof {
  readonly element = h('div', { class: 'proof', hidden: true })
  readonly #task: UploadTask
  readonly #words: Words
  #done = false

  constructor(task: UploadTask, words: Words) {
    this.#task = task
    this.#words = words
  }

  /** Shows the digests once there are any. */
  update(): void {
    const { result } = this.#task.view
    if (this.#done || !result?.sha256) return
    this.#done = true
    const { sha256 } = result
    const words = this.#words
    const copy = button(
      'quiet',
      () => void copyText(sha256, copy, code, words),
      icon('copy'),
      h('span', {}, words.text('digest.copy')),
    )
    setAttribute(copy, 'aria-label', words.text('digest.copyOf', { name: this.#task.name }))
    const code = h('code', {}, sha256)
    const side = (key: string, digest: HTMLElement) => [
      h('dt', {}, `${words.text('digest.title')} · ${words.text(key)}`),
      h('dd', {}, digest),
    ]
    const { ownSha256 } = result
    const both = [...side('digest.server', code), ...(ownSha256 ? side('digest.client', h('code', {}, ownSha256)) : [])]
    const said = ownSha256 ? 'digest.equal' : result.verified ? 'digest.verified' : 'digest.serverOnly'
    this.element.append(
      h('dl', {}, ...both),
      h('p', { class: result.verified ? 'agreed' : '' }, words.text(said)),
      copy,
    )
    this.element.hidden = false
  }
}
