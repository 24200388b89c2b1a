/** What can be done with a file that is there: send it again from a terminal, delete it. */

import type { UploadTask } from '../core/types.js'
import { copyText } from './copying.js'
import { button, h, icon, setAttribute, setText } from './dom.js'
import type { Words } from './i18n/index.js'

/** Milliseconds in which a second click on "delete" must come. */
const SURE = 4000

/** Commands for one tool that do the same as an upload did. */
export interface Snippet {
  readonly tool: string
  readonly text: string
}

/** What a page offers of files that are done, beyond what the element can do by itself. */
export interface Afterwards {
  /** Commands that repeat the upload. */
  snippets?(task: UploadTask): Promise<readonly Snippet[]>
  /** Deletes the file on the server; rejects if that cannot be. */
  remove?(task: UploadTask): Promise<void>
}

export class Repeat {
  readonly element = h('div', { class: 'repeat', hidden: true })
  readonly #task: UploadTask
  readonly #words: Words
  readonly #after: Afterwards
  #isMade = false

  constructor(task: UploadTask, words: Words, after: Afterwards) {
    this.#task = task
    this.#words = words
    this.#after = after
  }

  /** Shows itself once the upload is done. */
  update(): void {
    const { result, state } = this.#task.view
    if (this.#isMade || state !== 'done' || !result?.id) return
    this.#isMade = true
    void this.#make()
  }

  async #make(): Promise<void> {
    const snippets = (await this.#after.snippets?.(this.#task)) ?? []
    if (snippets.length > 0) this.element.append(this.#commands(snippets))
    if (this.#after.remove) this.element.append(this.#delete())
    this.element.hidden = this.element.childElementCount === 0
  }

  #commands(snippets: readonly Snippet[]): HTMLElement {
    const words = this.#words
    const blocks = snippets.map(({ tool, text }) => {
      const code = h('code', { tabindex: 0 }, text)
      const copy = button('quiet', () => void copyText(text, copy, code, words), icon('copy'))
      copy.append(h('span', {}, words.text('repeat.copy')))
      setAttribute(copy, 'aria-label', words.text('repeat.copyOf', { tool }))
      return h(
        'div',
        { class: 'snippet' },
        h('div', { class: 'snippet-head' }, h('b', {}, tool), copy),
        h('pre', {}, code),
      )
    })
    return h('details', {}, h('summary', {}, words.text('repeat.title')), ...blocks)
  }

  /** Nothing brings it back, so it takes a second click. */
  #delete(): HTMLElement {
    const words = this.#words
    const label = h('span', {}, words.text('repeat.delete'))
    const wrong = h('p', { role: 'alert' })
    const { name } = this.#task
    const say = (isAsked: boolean) => {
      made.classList.toggle('sure', isAsked)
      setText(label, words.text(isAsked ? 'repeat.deleteSure' : 'repeat.delete'))
      const spoken = isAsked ? `${words.text('repeat.deleteSure')} ${name}` : words.text('repeat.deleteOf', { name })
      setAttribute(made, 'aria-label', spoken)
    }
    const run = async () => {
      if (!made.classList.contains('sure')) {
        say(true)
        setTimeout(() => say(false), SURE)
        return
      }
      made.disabled = true
      try {
        await this.#after.remove?.(this.#task)
      } catch (error) {
        console.warn('onward-upload:', error)
        setText(wrong, words.text('repeat.deleteFailed'))
        made.disabled = false
      }
    }
    const made = button('quiet', () => void run(), icon('close'), label)
    say(false)
    return h('div', { class: 'delete' }, made, wrong)
  }
}
