/** `<onward-upload endpoint="/upload" multiple>`: uploads on any page, inside any form, without a line of script. */

import type { AddInput, AddOptions, Protocol, Uploader, UploaderOptions, UploadTask } from '../core/types.js'
import { createUploader } from '../create.js'
import { chooseLanguage, type Dictionary, isLoaded, loadLanguage, Words } from './i18n/index.js'
import { Panel } from './panel.js'
import type { Afterwards } from './repeat.js'
import { ACTIVE } from './states.js'
import { sheet } from './styles.js'

/** Under a server there are no elements; then the module can still be imported. */
const Element = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement

export type { Afterwards, Snippet } from './repeat.js'

const NAMES = ['lang', 'panel', 'multiple', 'directory', 'accept', 'whole-page', 'details'] as const

/**
 * The element. Its value in a form is the ids of the uploads that are done, one field for each.
 *
 * Attributes: `endpoint`, `protocol` (`chunk`, `tus`, `ietf`), `parallel`, `checksum` (`sha-256`,
 * `none`), `verify` (`whole-file`), `multiple`, `directory`, `accept`, `whole-page`, `details`,
 * `panel` (`inline`, `dock`), `folded`, `lang`, `name`, `required`, `disabled`. Or
 * give it an `uploader` of your own.
 *
 * Events, all bubbling: `onward-added` (`detail.tasks`), `onward-state` (`detail.task`, `from`,
 * `to`), `onward-done` (`detail.task`, `result`), `onward-failed` (`detail.task`, `error`),
 * `onward-idle` when nothing is under way any more.
 */
export class OnwardUpload extends Element {
  static readonly formAssociated = true
  static readonly observedAttributes: readonly string[] = NAMES
  readonly #internals: ElementInternals
  readonly #root: ShadowRoot
  #uploader: Uploader | undefined
  #isOurs = false
  #panel: Panel | undefined
  #dictionary: Dictionary = {}
  #options: Partial<UploaderOptions> = {}
  #off: (() => void)[] = []
  #wasBusy = false
  #hint = ''
  #after: Afterwards = {}
  #isDisabled = false

  constructor() {
    super()
    this.#internals = this.attachInternals()
    this.#root = this.attachShadow({ mode: 'open', delegatesFocus: true })
    this.#root.adoptedStyleSheets = [sheet()]
  }

  /** What sends the files. Made from the attributes unless one is set before it is needed. */
  get uploader(): Uploader {
    if (!this.#uploader) {
      this.#uploader = createUploader(this.#fromAttributes())
      this.#isOurs = true
    }
    return this.#uploader
  }

  set uploader(uploader: Uploader) {
    this.#detach()
    this.#dispose()
    this.#uploader = uploader
    if (this.isConnected) this.#attach()
  }

  /** Options that no attribute can hold, such as `headers`; set them before the first file is added. */
  set options(options: Partial<UploaderOptions>) {
    this.#options = options
    if (!this.#isOurs) return
    // The page's script runs after the element has come: what it has begun to restore is restored with these.
    this.#detach()
    this.#dispose()
    this.#uploader = undefined
    if (this.isConnected) this.connectedCallback()
  }

  /** Words to use instead of the built-in ones, by their keys. */
  set dictionary(words: Dictionary) {
    this.#dictionary = words
    this.#again()
  }

  get tasks(): readonly UploadTask[] {
    return this.#uploader?.tasks ?? []
  }

  /** Ids of the uploads that are done. */
  get value(): string[] {
    return this.tasks.flatMap((task) => task.view.result?.id ?? [])
  }

  get form(): HTMLFormElement | null {
    return this.#internals.form
  }

  get name(): string {
    return this.getAttribute('name') ?? ''
  }

  /** As if somebody had chosen these files. */
  add(input: AddInput, options?: AddOptions): Promise<UploadTask[]> {
    return this.#panel?.add(input, options) ?? this.uploader.add(input, options)
  }

  /** Says something else below the title of the drop zone. */
  set hint(text: string) {
    this.#hint = text
    this.#panel?.drop.hint(text)
  }

  /** What the page can do with files that are done; see `Afterwards`. */
  set afterwards(after: Afterwards) {
    this.#after = after
    this.#again()
  }

  /** Draws canvases anew, after the page has changed its colours. */
  redraw(): void {
    this.#panel?.redraw()
  }

  connectedCallback(): void {
    this.#attach()
    if (this.#isOurs) void this.uploader.restore()
  }

  disconnectedCallback(): void {
    this.#detach()
    // Moved elements come back at once; uploads of one that stays away go on in the background.
  }

  attributeChangedCallback(_name: string, before: string | null, after: string | null): void {
    if (before !== after) this.#again()
  }

  formResetCallback(): void {
    for (const task of [...this.tasks]) if (!ACTIVE.has(task.state)) this.uploader.remove(task.id)
  }

  formDisabledCallback(isDisabled: boolean): void {
    this.#isDisabled = isDisabled
    this.#panel?.drop.disable(isDisabled)
  }

  #again(): void {
    if (!this.isConnected) return
    this.#detach()
    this.#attach()
  }

  #attach(): void {
    if (this.#panel) return
    const lang = this.#language()
    if (!isLoaded(lang)) {
      void loadLanguage(lang).then(() => this.isConnected && this.#attach())
      return
    }
    const has = (name: string) => this.hasAttribute(name)
    const { uploader } = this
    this.#panel = new Panel(uploader, new Words(lang, this.#dictionary), {
      multiple: has('multiple'),
      directory: has('directory'),
      accept: this.getAttribute('accept') ?? '',
      wholePage: has('whole-page'),
      dock: this.getAttribute('panel') === 'dock',
      details: has('details'),
      folded: has('folded'),
      after: this.#after,
    })
    if (this.#hint) this.#panel.drop.hint(this.#hint)
    this.#panel.drop.disable(this.#isDisabled)
    this.#root.replaceChildren(this.#panel.element, document.createElement('slot'))
    this.#panel.connect(this)
    this.#listen(uploader)
    this.#report()
  }

  #detach(): void {
    for (const off of this.#off.splice(0)) off()
    this.#panel?.close()
    this.#panel = undefined
  }

  #dispose(): void {
    if (this.#isOurs) void this.#uploader?.[Symbol.asyncDispose]()
    this.#isOurs = false
  }

  #listen(uploader: Uploader): void {
    this.#off.push(
      uploader.subscribe(() => this.#report()),
      uploader.on('added', ({ tasks }) => this.#emit('added', { tasks })),
      uploader.on('state', ({ from, task, to }) => {
        this.#emit('state', { task, from, to })
        if (to === 'done') this.#emit('done', { task, result: task.view.result })
        if (to === 'failed') this.#emit('failed', { task, error: task.view.error })
      }),
    )
  }

  /** Tells the form how things stand. */
  #report(): void {
    const { counts } = this.uploader.getSnapshot()
    const isBusy = [...ACTIVE].some((state) => counts[state])
    const hasEnded = this.#wasBusy && !isBusy
    // Of ten thousand uploads, only where somebody wants to know.
    const value = this.name || this.hasAttribute('required') || hasEnded ? this.value : []
    const data = new FormData()
    for (const id of value) data.append(this.name, id)
    this.#internals.setFormValue(this.name ? data : null)
    const words = () => new Words(this.#language(), this.#dictionary)
    const button = this.#panel?.drop.button
    if (isBusy) this.#internals.setValidity({ customError: true }, words().text('form.busy'), button)
    else if (this.hasAttribute('required') && value.length === 0)
      this.#internals.setValidity({ valueMissing: true }, words().text('form.required'), button)
    else this.#internals.setValidity({})
    if (hasEnded) this.#emit('idle', { ids: value })
    this.#wasBusy = isBusy
  }

  #emit(name: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(`onward-${name}`, { bubbles: true, composed: true, detail }))
  }

  #language(): string {
    const around = this.closest<HTMLElement>('[lang]')?.lang
    return chooseLanguage([...(around ? [around] : []), ...navigator.languages])
  }

  #fromAttributes(): UploaderOptions {
    const get = (name: string) => this.getAttribute(name) ?? undefined
    const parallel = Number(get('parallel'))
    return {
      endpoint: get('endpoint') ?? '/upload',
      protocol: get('protocol') as Protocol | undefined,
      parallel: parallel > 0 ? parallel : 'auto',
      checksum: get('checksum') === 'none' ? false : 'sha-256',
      verify: get('verify') === 'whole-file' ? 'whole-file' : undefined,
      ...this.#options,
    }
  }
}

/** Makes `<onward-upload>` known; done by importing this module in a browser. */
export function defineElement(name = 'onward-upload'): void {
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, OnwardUpload)
}

defineElement()
