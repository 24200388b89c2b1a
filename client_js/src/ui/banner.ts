/** After a reload: what is not finished, and the three ways to go on. */

import type { UploadTask } from '../core/types.js'
import { button, h, icon, setText } from './dom.js'
import type { Words } from './i18n/index.js'
import { UNFINISHED } from './states.js'

export interface BannerHost {
  readonly words: Words
  resumeAll(tasks: readonly UploadTask[]): void
  choose(): void
  discard(tasks: readonly UploadTask[]): void
}

const NAMED = 3

export class Banner {
  readonly element: HTMLElement
  readonly #host: BannerHost
  readonly #title = h('h2')
  readonly #text = h('p')
  readonly #resume: HTMLButtonElement
  readonly #choose: HTMLButtonElement
  #tasks: readonly UploadTask[] = []

  constructor(host: BannerHost) {
    this.#host = host
    const { words } = host
    this.#resume = button('solid', () => host.resumeAll(this.#tasks), words.text('restore.resumeAll'))
    this.#choose = button('solid', () => host.choose(), words.count('restore.choose', 2))
    const discard = button('quiet', () => host.discard(this.#tasks), words.text('restore.discard'))
    this.element = h(
      'section',
      { class: 'banner', part: 'banner', hidden: true, 'aria-label': words.text('restore.label') },
      icon('clock'),
      h('div', {}, this.#title, this.#text),
      h('div', { class: 'choices' }, this.#resume, this.#choose, discard),
    )
  }

  /** Shows itself if there is something unfinished among the uploads. */
  update(tasks: readonly UploadTask[]): void {
    const found = tasks.filter((task) => UNFINISHED.has(task.state))
    this.#tasks = found
    this.element.hidden = found.length === 0
    if (found.length === 0) return
    const { words } = this.#host
    const names = found.slice(0, NAMED).map((task) => task.name)
    const list = new Intl.ListFormat(words.lang, { type: 'conjunction' })
    const more = found.length - names.length
    if (more > 0) names.push(words.count('restore.more', more))
    const lacking = found.filter((task) => task.state === 'needs-file').length
    setText(this.#title, words.count('restore.title', found.length))
    const hint = lacking > 0 ? ` ${words.count('restore.hint', lacking)}` : ''
    setText(this.#text, `${list.format(names)}. ${words.text('restore.text')}${hint}`)
    this.#resume.hidden = lacking === found.length
    this.#choose.hidden = lacking === 0
    setText(this.#choose, words.count('restore.choose', lacking))
    this.#choose.className = this.#resume.hidden ? 'solid' : 'quiet'
  }
}
