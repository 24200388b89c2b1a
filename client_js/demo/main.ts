/** The page: the element, what stands around it, and the operator's view. */

import type { Protocol, Uploader, UploadTask } from '../src/core/types.js'
import { createUploader } from '../src/create.js'
import { setAttribute, setText } from '../src/ui/dom.js'
import { type Afterwards, OnwardUpload } from '../src/ui/element.js'
import type { Words } from '../src/ui/i18n/index.js'
import { ACTIVE, shareOfAll } from '../src/ui/states.js'
import { PROTOCOLS, protocolCard, shellCard } from './aside.js'
import type { Bench } from './bench.js'
import { loadConfig, type PageConfig } from './config.js'
import type { ServerView } from './server.js'
import { Several } from './several.js'
import { keepLanguage, recall, remember, startLanguage, translate, wordsIn } from './words.js'

const SCHEME = 'onward-scheme'
const PROTOCOL = 'onward-protocol'

class Page {
  readonly #config: PageConfig
  readonly #uploader: Several
  readonly #element: OnwardUpload
  #protocol: Protocol
  #words: Words
  #bench: Bench | undefined
  #server: ServerView | undefined

  constructor(config: PageConfig, words: Words) {
    this.#config = config
    this.#words = words
    this.#protocol = PROTOCOLS.find((one) => one === recall(PROTOCOL)) ?? 'chunk'
    this.#uploader = new Several(new Map(PROTOCOLS.map((one) => [one, this.#make(one)])), this.#protocol)
    this.#element = new OnwardUpload()
    for (const name of ['multiple', 'directory', 'whole-page', 'details', 'folded'])
      this.#element.setAttribute(name, '')
    this.#element.lang = this.#words.lang
    this.#element.afterwards = this.#afterwards()
    this.#element.uploader = this.#uploader
    pick('place').append(this.#element)
  }

  start(): void {
    this.#scheme()
    this.#language()
    this.#speak()
    this.#uploader.subscribe(() => this.#connection())
    setInterval(() => this.#connection(), 1000)
    pick('skip').addEventListener('click', (event) => {
      event.preventDefault() // the fragment says which view is shown
      pick('main').focus()
    })
    addEventListener('hashchange', () => this.#view())
    this.#view()
    void this.#uploader.restore()
  }

  #make(protocol: Protocol): Uploader {
    const endpoint = protocol === 'chunk' ? this.#config.endpoint : this.#config.files
    return createUploader({ endpoint, protocol, verify: 'whole-file' })
  }

  /** What can be done with a file that is on the server. */
  #afterwards(): Afterwards {
    const { delete_finished, endpoint, files } = this.#config
    const snippets = async (task: UploadTask) => (await import('./repeat.js')).repeat(files, task)
    if (!delete_finished) return { snippets }
    const remove = async (task: UploadTask) => {
      const response = await fetch(`${endpoint}/${task.view.result?.id}`, { method: 'DELETE' })
      if (!response.ok) throw new Error(`status ${response.status}`)
      this.#uploader.remove(task.id)
    }
    return { snippets, remove }
  }

  /** Everything that is said, in the language that was chosen. */
  #speak(): void {
    const words = this.#words
    translate(words)
    this.#element.lang = words.lang
    const { limits, version } = this.#config
    if (limits.max_size > 0) {
      this.#element.hint = words.text('limit.size', { size: words.formats.bytes(limits.max_size) })
    }
    setText(pick('version'), version ? words.text('foot.version', { version }) : '')
    const choose = (protocol: Protocol) => {
      this.#protocol = protocol
      this.#uploader.choose(protocol)
      remember(PROTOCOL, protocol)
    }
    const cards = [protocolCard(words, this.#protocol, choose), shellCard(words)]
    this.#bench?.close()
    if (this.#config.demo) void this.#showBench(words, cards)
    else pick('aside').replaceChildren(...cards)
    this.#server?.close()
    this.#server = undefined
  }

  /** Fetched only from a server that misbehaves on request; the others wait for it, so that none of them moves. */
  async #showBench(words: Words, cards: readonly HTMLElement[]): Promise<void> {
    const part = await import('./bench.js').catch((error: unknown) => {
      console.warn('there is no bench:', error)
      return undefined
    })
    if (words !== this.#words) return
    this.#bench = part && new part.Bench(words)
    pick('aside').replaceChildren(...(this.#bench ? [this.#bench.element] : []), ...cards)
    await this.#bench?.start()
  }

  /** Fetched only when somebody looks at it. */
  async #showServer(): Promise<void> {
    const { ServerView } = await import('./server.js')
    this.#server ??= new ServerView(this.#config, this.#words)
    pick('table').replaceChildren(this.#server.element)
    if (location.hash === '#server') await this.#server.open()
  }

  /** Which half of the page is shown; the uploads go on beside the other in a corner. */
  #view(): void {
    const isServer = location.hash === '#server'
    pick('server').hidden = !isServer
    pick('upload').hidden = isServer
    for (const link of document.querySelectorAll('nav a')) {
      const isHere = (link.getAttribute('href') === '#server') === isServer
      setAttribute(link, 'aria-current', isHere ? 'page' : null)
    }
    this.#dock(isServer)
    if (isServer) void this.#showServer()
    else this.#server?.close()
  }

  #dock(isServer: boolean): void {
    const hasUploads = this.#uploader.tasks.length > 0
    if (isServer) {
      this.#element.setAttribute('panel', 'dock')
      this.#element.hidden = !hasUploads
      if (this.#element.parentElement !== document.body) document.body.append(this.#element)
    } else {
      this.#element.removeAttribute('panel')
      this.#element.hidden = false
      const place = pick('place')
      if (this.#element.parentElement !== place) place.append(this.#element)
    }
  }

  #connection(): void {
    const { connection } = this.#uploader.getSnapshot()
    this.#title()
    const wait = connection.retryAt === undefined ? 0 : (connection.retryAt - Date.now()) / 1000
    const words = this.#words
    const said =
      connection.state === 'online'
        ? words.text('net.online')
        : wait > 0
          ? words.text('net.retryIn', { time: words.formats.duration(wait) })
          : words.text('net.waiting')
    const pill = pick('connection')
    setAttribute(pill, 'data-state', connection.state)
    setText(pill.querySelector('span') as HTMLElement, said)
  }

  /** How far it is, for who looks at another tab. */
  #title(): void {
    const open = this.#uploader.tasks.filter((task) => ACTIVE.has(task.state))
    const percent = this.#words.formats.percent(shareOfAll(open))
    document.title = open.length > 0 ? `${percent} · Onward` : 'Onward'
  }

  #language(): void {
    const select = pick('language') as HTMLSelectElement
    select.value = this.#words.lang
    select.addEventListener('change', async () => {
      keepLanguage(select.value)
      this.#words = await wordsIn(select.value)
      this.#speak()
      this.#view()
    })
  }

  #scheme(): void {
    const select = pick('theme') as HTMLSelectElement
    select.value = recall(SCHEME) ?? 'auto'
    const show = () => {
      document.documentElement.dataset.scheme = select.value
      this.#element.redraw()
    }
    show()
    select.addEventListener('change', () => {
      remember(SCHEME, select.value)
      show()
    })
  }
}

function pick(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement
}

document.documentElement.dataset.scheme = recall(SCHEME) ?? 'auto'
void Promise.all([loadConfig(), wordsIn(startLanguage())]).then(([config, words]) => new Page(config, words).start())
