/** Where files come in: one real button, which is also the place to drop them. */

import type { AddInput } from '../core/types.js'
import { button, h, icon, setText } from './dom.js'
import type { Words } from './i18n/index.js'
import { choose, hasFiles } from './picking.js'

export interface DropOptions {
  readonly multiple: boolean
  readonly directory: boolean
  readonly accept: string
  /** Files may be dropped and pasted anywhere in the window. */
  readonly wholePage: boolean
}

export class DropZone {
  readonly element: HTMLElement
  readonly overlay: HTMLElement
  readonly button: HTMLButtonElement
  readonly #onFiles: (input: AddInput) => void
  readonly #files: HTMLInputElement
  readonly #folder: HTMLInputElement
  readonly #hint: HTMLElement
  readonly #folderButton: HTMLButtonElement
  readonly #whole: boolean
  readonly #off = new AbortController()
  #depth = 0
  #isOff = false

  constructor(words: Words, options: DropOptions, onFiles: (input: AddInput) => void) {
    this.#onFiles = onFiles
    this.#whole = options.wholePage
    this.#files = h('input', { type: 'file', hidden: true, tabindex: -1, accept: options.accept || null })
    this.#files.multiple = options.multiple
    this.#folder = h('input', { type: 'file', hidden: true, tabindex: -1, webkitdirectory: true })
    this.#hint = h('span', { class: 'hint' }, words.text('drop.hint'))
    this.button = button(
      'drop-button',
      () => void this.open(),
      icon('up'),
      h('span', { class: 'title' }, words.text(options.multiple ? 'drop.button' : 'drop.button.one')),
      this.#hint,
    )
    this.button.setAttribute('part', 'dropzone')
    const folder = button(
      'quiet folder-button',
      () => this.#folder.click(),
      icon('folder'),
      h('span', {}, words.text('drop.folder')),
    )
    folder.hidden = !options.directory
    this.#folderButton = folder
    this.element = h('div', { class: 'drop' }, this.button, folder, this.#files, this.#folder)
    this.overlay = h('div', { class: 'overlay', part: 'overlay', hidden: true }, icon('up'))
    this.overlay.append(h('p', {}, words.text('drop.release')))
    for (const input of [this.#files, this.#folder]) input.addEventListener('change', () => this.#changed(input))
  }

  /** Shows the browser's dialog. */
  async open(): Promise<void> {
    const chosen = await choose(this.#files)
    if (chosen && chosen.length > 0) this.#onFiles(chosen)
  }

  /** Takes nothing any more, or takes files again. */
  disable(isOff: boolean): void {
    this.#isOff = isOff
    this.button.disabled = isOff
    this.#folderButton.disabled = isOff
  }

  /** What is said below the title, such as the server's limits. */
  hint(text: string): void {
    setText(this.#hint, text)
  }

  /** Begins to take drops and pastes; `host` is where they count if not everywhere. */
  listen(host: HTMLElement): void {
    const place: EventTarget = this.#whole ? window : host
    const options = { signal: this.#off.signal }
    place.addEventListener('dragenter', (event) => this.#drag(event as DragEvent, 1), options)
    place.addEventListener('dragleave', (event) => this.#drag(event as DragEvent, -1), options)
    place.addEventListener('dragover', (event) => this.#over(event as DragEvent), options)
    place.addEventListener('drop', (event) => this.#drop(event as DragEvent), options)
    place.addEventListener('paste', (event) => this.#paste(event as ClipboardEvent), options)
  }

  close(): void {
    this.#off.abort()
  }

  #changed(input: HTMLInputElement): void {
    const files = [...(input.files ?? [])]
    input.value = '' // the same file may be chosen again
    if (files.length > 0) this.#onFiles(files)
  }

  #drag(event: DragEvent, by: number): void {
    if (this.#isOff || !hasFiles(event.dataTransfer)) return
    event.preventDefault()
    this.#depth = Math.max(0, this.#depth + by)
    this.#show(this.#depth > 0)
  }

  #over(event: DragEvent): void {
    if (this.#isOff || !hasFiles(event.dataTransfer)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = 'copy'
  }

  #drop(event: DragEvent): void {
    this.#depth = 0
    this.#show(false)
    if (this.#isOff || !hasFiles(event.dataTransfer)) return
    event.preventDefault()
    this.#onFiles(event)
  }

  #paste(event: ClipboardEvent): void {
    if (this.#isOff || !hasFiles(event.clipboardData)) return
    event.preventDefault()
    this.#onFiles(event)
  }

  #show(isOver: boolean): void {
    this.button.classList.toggle('over', isOver)
    this.overlay.hidden = !(isOver && this.#whole)
  }
}
