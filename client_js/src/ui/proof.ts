/** The SHA-256 of both sides, to be seen and copied. */

import type { UploadTask } from '../core/types.js'
import { button, h, icon, setAttribute, setText } from './dom.js'
import type { Words } from './i18n/index.js'

const SHOWN = 2000

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
      () => void copyText(sha256, copy, words),
      icon('copy'),
      h('span', {}, words.text('digest.copy')),
    )
    setAttribute(copy, 'aria-label', words.text('digest.copyOf', { name: this.#task.name }))
    const side = (key: string, digest: string) => [
      h('dt', {}, `${words.text('digest.title')} · ${words.text(key)}`),
      h('dd', {}, h('code', {}, digest)),
    ]
    const { ownSha256 } = result
    const both = [...side('digest.server', sha256), ...(ownSha256 ? side('digest.client', ownSha256) : [])]
    const said = ownSha256 ? 'digest.equal' : result.verified ? 'digest.verified' : 'digest.serverOnly'
    this.element.append(
      h('dl', {}, ...both),
      h('p', { class: result.verified ? 'agreed' : '' }, words.text(said)),
      copy,
    )
    this.element.hidden = false
  }
}

async function copyText(text: string, by: HTMLElement, words: Words): Promise<void> {
  const label = by.querySelector('span') as HTMLElement
  const before = label.textContent ?? ''
  try {
    // Absent where the page came over plain http.
    await navigator.clipboard.writeText(text)
  } catch {
    const said = by.parentElement?.querySelector('code')
    if (said) getSelection()?.selectAllChildren(said)
    if (!document.execCommand('copy')) return
  }
  setText(label, words.text('action.copied'))
  setTimeout(() => setText(label, before), SHOWN)
}
