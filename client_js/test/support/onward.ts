import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BINARY = process.env.ONWARD ?? join(ROOT, '.venv/bin/onward')

/** A real `onward serve`, in a directory of its own, that can be killed and started again on its port. */
export class Onward {
  readonly data = mkdtempSync(join(tmpdir(), 'onward-client-'))
  #child: ChildProcess | null = null
  #said = ''

  private constructor(readonly port: number) {}

  static async start(...flags: string[]): Promise<Onward> {
    const server = new Onward(await freePort())
    await server.start(...flags)
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async start(...flags: string[]): Promise<void> {
    const told = ['serve', '--host', '127.0.0.1', '--port', String(this.port), '--data', this.data, '--open', ...flags]
    // A group of its own: the worker beside the server ends with it.
    this.#child = spawn(BINARY, told, { detached: true, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.#said = (this.#said + text.toString()).slice(-4000)
      })
    }
    await this.#ready()
  }

  /** SIGKILL: nothing is saved, nobody is told. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child?.pid) return
    this.#child = null
    const over = new Promise((resolve) => child.once('exit', resolve))
    process.kill(-child.pid, 'SIGKILL')
    await over
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.data, { recursive: true, force: true, maxRetries: 5 })
  }

  async #ready(): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      if (this.#child?.exitCode !== null) break
      const answer = await fetch(`${this.url}/ready`).catch(() => null)
      if (answer?.ok) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`onward serve is not ready: ${this.#said}`)
  }
}

function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONWARD_')))
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}
