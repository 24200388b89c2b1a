// A real `onward serve`: a process of its own on a loopback port, which it keeps when it is started again.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const PYTHON = process.env.ONWARD_E2E_PYTHON ?? join(ROOT, '.venv', 'bin', 'python')
const PATIENCE = 60_000

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks until the answer is a yes; what it was, in the end. */
export async function until(what, ask, patience = PATIENCE) {
  const end = Date.now() + patience
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`it never came true: ${what}`)
    await sleep(50)
  }
}

export async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

export class OnwardServer {
  /** `flags` as on the command line, without those of address and data. */
  static async start(...flags) {
    const server = new OnwardServer()
    server.flags = flags
    server.port = await freePort()
    server.url = `http://127.0.0.1:${server.port}`
    server.home = await mkdtemp(join(tmpdir(), 'onward-e2e-'))
    server.data = join(server.home, 'data')
    await server.run()
    return server
  }

  async run() {
    const log = openSync(join(this.home, 'log'), 'a')
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('ONWARD_'))
    const where = ['--host', '127.0.0.1', '--port', String(this.port), '--data', this.data]
    this.process = spawn(PYTHON, ['-m', 'onward', 'serve', ...where, '--min-free', '0', ...this.flags], {
      cwd: this.home,
      // The sources beside this file, and where the tests' hooks are.
      env: { ...Object.fromEntries(environment), PYTHONPATH: [join(ROOT, 'src'), ROOT].join(delimiter) },
      stdio: ['ignore', log, log],
    })
    this.ended = new Promise((resolve) => this.process.once('exit', resolve))
    const { process: own } = this
    await until('the server answers', async () => {
      if (own.exitCode !== null) throw new Error(`the server ended: ${this.log}`)
      const answer = await fetch(`${this.url}/health`).catch(() => null)
      return answer?.ok
    })
  }

  get log() {
    return readFileSync(join(this.home, 'log'), 'utf8')
  }

  /** As if the power had gone. */
  async kill() {
    this.process.kill('SIGKILL')
    await this.ended
  }

  async remove() {
    this.process.kill('SIGTERM')
    await this.ended
    await rm(this.home, { recursive: true, force: true })
  }

  /** Every upload that the server knows, as `/uploads` tells. */
  async uploads() {
    const all = []
    let after = ''
    while (after !== null) {
      const { uploads, next } = await (await fetch(`${this.url}/uploads?limit=200${after}`)).json()
      all.push(...uploads)
      after = next && `&after=${encodeURIComponent(next)}`
    }
    return all
  }

  /** How many uploads are in a state, of those whose names begin so. */
  async count(state, prefix) {
    return (await this.uploads()).filter((upload) => upload.state === state && (upload.name ?? '').startsWith(prefix))
      .length
  }

  /** Bytes that it has of a name. */
  async received(name) {
    const { received } = (await this.uploads()).find((upload) => upload.name === name) ?? {}
    return received ?? 0
  }

  /** The published file of a name, once it is there: its state, and the SHA-256 of what is on the disk. */
  async published(name) {
    const found = await until(`${name} is published`, async () =>
      (await this.uploads()).find((upload) => upload.name === name && upload.state === 'done'),
    )
    const whole = await (await fetch(`${this.url}/uploads/${found.id}`)).json()
    return { ...whole, onDisk: await sha256(join(this.data, 'files', whole.result.ref)) }
  }
}

export async function sha256(path) {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}
