// Firefox and WebKitGTK, each with the few steps that the core flow needs: open, pick a file, look, reload.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { freePort, until } from './server.mjs'

const INPUT = "document.querySelector('onward-upload').shadowRoot.querySelector('input[type=file]')"

/** Firefox by WebDriver BiDi, which it speaks itself. */
export class Firefox {
  static async start() {
    const own = new Firefox()
    own.home = await mkdtemp(join(tmpdir(), 'onward-e2e-firefox-'))
    const flags = ['--headless', '--no-remote', '--profile', own.home, '--remote-debugging-port=0']
    own.process = spawn('firefox-esr', flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    own.ended = new Promise((resolve) => own.process.once('exit', resolve))
    let said = ''
    own.process.stderr.on('data', (text) => {
      said += text
    })
    const [, address] = await until('Firefox listens', () => /BiDi listening on (ws:\S+)/.exec(said))
    own.socket = new WebSocket(`${address}/session`)
    await new Promise((resolve, reject) => own.socket.once('open', resolve).once('error', reject))
    own.waiting = new Map()
    own.socket.on('message', (text) => own.heard(JSON.parse(text)))
    own.version = (await own.send('session.new', { capabilities: {} })).capabilities.browserVersion
    own.context = (await own.send('browsingContext.create', { type: 'tab' })).context
    return own
  }

  send(method, params) {
    const id = this.waiting.size + 1
    this.socket.send(JSON.stringify({ id, method, params }))
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }))
  }

  heard({ id, result, error, message }) {
    if (error) this.waiting.get(id)?.reject(new Error(`${error}: ${message}`))
    else this.waiting.get(id)?.resolve(result)
  }

  open(url) {
    return this.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' })
  }

  reload() {
    return this.send('browsingContext.reload', { context: this.context, wait: 'complete' })
  }

  async evaluate(expression) {
    const target = { context: this.context }
    const params = { expression: `JSON.stringify(${expression})`, target, awaitPromise: true }
    const { result, exceptionDetails } = await this.send('script.evaluate', params)
    if (exceptionDetails) throw new Error(exceptionDetails.text)
    return result.value === undefined ? undefined : JSON.parse(result.value)
  }

  async pick(path) {
    const params = { expression: INPUT, target: { context: this.context }, awaitPromise: false }
    const { result } = await this.send('script.evaluate', params)
    await this.send('input.setFiles', { context: this.context, element: { sharedId: result.sharedId }, files: [path] })
  }

  async close() {
    this.socket.close()
    this.process.kill('SIGTERM')
    await this.ended
    await rm(this.home, { recursive: true, force: true })
  }
}

/** WebKitGTK by WebDriver, on a display of its own. */
export class WebKit {
  static async start() {
    const own = new WebKit()
    const port = await freePort()
    own.processes = []
    const display = await own.display()
    own.run('WebKitWebDriver', [`--port=${port}`], { ...process.env, DISPLAY: display })
    own.base = `http://127.0.0.1:${port}`
    await until('the driver listens', async () => (await fetch(`${own.base}/status`).catch(() => null))?.ok)
    const binary = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser'
    const alwaysMatch = { 'webkitgtk:browserOptions': { binary, args: ['--automation'] } }
    const { sessionId, capabilities } = await own.send('POST', '/session', { capabilities: { alwaysMatch } })
    own.session = `/session/${sessionId}`
    own.version = capabilities.browserVersion
    return own
  }

  /** Starts Xvfb, which picks a free display and tells it. */
  async display() {
    const server = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.processes.unshift(server)
    const number = await new Promise((resolve) => server.stdout.once('data', resolve))
    return `:${String(number).trim()}`
  }

  run(command, flags, env) {
    this.processes.unshift(spawn(command, flags, { env, stdio: 'ignore' }))
  }

  async send(method, path, body) {
    const answer = await fetch(`${this.base}${path}`, { method, body: body && JSON.stringify(body) })
    const { value } = await answer.json()
    if (!answer.ok) throw new Error(`${value.error}: ${value.message}`)
    return value
  }

  open(url) {
    return this.send('POST', `${this.session}/url`, { url })
  }

  reload() {
    return this.send('POST', `${this.session}/refresh`, {})
  }

  async evaluate(expression) {
    const script = `return JSON.stringify(${expression})`
    const text = await this.send('POST', `${this.session}/execute/sync`, { script, args: [] })
    return text === null ? undefined : JSON.parse(text)
  }

  async pick(path) {
    const element = await this.send('POST', `${this.session}/execute/sync`, { script: `return ${INPUT}`, args: [] })
    const [id] = Object.values(element)
    await this.send('POST', `${this.session}/element/${id}/value`, { text: path })
  }

  async close() {
    await this.send('DELETE', this.session).catch(() => {})
    for (const process of this.processes) process.kill('SIGTERM')
  }
}
