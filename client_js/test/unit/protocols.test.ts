import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HttpClient, HttpRequest } from '../../src/core/seams.js'
import { answer, problem, sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

/** Enough of a server of tus or the draft: one upload, its bytes in order. */
class Sequential implements HttpClient {
  bytes = new Uint8Array()
  size = 0
  readonly log: HttpRequest[] = []
  rule: (request: HttpRequest) => ReturnType<typeof answer> | undefined = () => undefined
  monitor = false

  async send(request: HttpRequest) {
    this.log.push(request)
    const said = this.rule(request)
    if (said) return said
    const { method, headers } = request
    if (method === 'GET')
      return answer(200, { state: 'done', result: { content: '/c', size: this.size, sha256: sha(this.bytes) } })
    if (method === 'POST') {
      this.size = Number(headers['Upload-Length'])
      return answer(201, '', { Location: '/files/abc' })
    }
    if (method === 'HEAD')
      return answer(200, '', { 'Upload-Offset': String(this.bytes.length), 'Upload-Length': String(this.size) })
    if (method === 'DELETE') return answer(204)
    if (Number(headers['Upload-Offset']) !== this.bytes.length) return problem(409, 'offset-mismatch')
    const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
    this.bytes = new Uint8Array([...this.bytes, ...body])
    const over = this.bytes.length === this.size && this.monitor
    return answer(204, '', {
      'Upload-Offset': String(this.bytes.length),
      ...(over && { Link: '<http://test/uploads/abc>; rel="monitor"' }),
    })
  }
}

let world: World
let server: Sequential
beforeEach(() => {
  world = new World()
  server = new Sequential()
})
afterEach(() => world.end())

describe.each(['tus', 'ietf'] as const)('%s', (protocol) => {
  const tab = () => world.tab({ net: server, protocol, endpoint: 'http://test/files' })
  const load = () => Promise.all([import('../../src/protocol/tus.js'), import('../../src/protocol/ietf.js')])

  test('one request at a time, in order, each with its digest', async () => {
    await load()
    server.monitor = true
    const bytes = noise(3 * UNIT + 5)
    const [task] = await tab().add([fileOf('grün.bin', bytes, { type: 'image/png' })])
    await world.run()
    expect(await task?.done).toMatchObject({ sha256: sha(bytes), verified: true })
    const patches = server.log.filter((request) => request.method === 'PATCH')
    expect(patches.map((request) => request.headers['Upload-Offset'])).toEqual([
      '0',
      `${UNIT}`,
      `${2 * UNIT}`,
      `${3 * UNIT}`,
    ])
    const field = protocol === 'tus' ? 'Upload-Checksum' : 'Content-Digest'
    expect(patches.every((request) => request.headers[field])).toBe(true)
    if (protocol === 'ietf') {
      expect(patches.map((request) => request.headers['Upload-Complete'])).toEqual(['?0', '?0', '?0', '?1'])
      expect(server.log[0]?.headers['Content-Disposition']).toBe("attachment; filename*=UTF-8''gr%C3%BCn.bin")
    } else expect(server.log[0]?.headers['Upload-Metadata']).toContain('filetype aW1hZ2UvcG5n')
  })

  test('a server that proves nothing: done with the last byte, unproven', async () => {
    await load()
    const [task] = await tab().add([fileOf('a', noise(UNIT))])
    await world.run()
    expect(await task?.done).toMatchObject({ url: 'http://test/files/abc', verified: false })
  })

  test('another offset than thought: the server is asked, and it goes on from there', async () => {
    await load()
    const bytes = noise(3 * UNIT)
    server.rule = ({ method, headers }) => {
      if (method !== 'PATCH' || headers['Upload-Offset'] !== `${UNIT}`) return undefined
      server.rule = () => undefined
      server.bytes = new Uint8Array(bytes.slice(0, UNIT + 100)) // half of an earlier request was stored
      return undefined
    }
    const [task] = await tab().add([fileOf('a', bytes)])
    await world.run()
    expect(task?.state).toBe('done')
    expect(sha(server.bytes)).toBe(sha(bytes))
  })

  test('failed verification is 410 with a word, and ends the upload', async () => {
    await load()
    server.rule = ({ method }) =>
      method === 'PATCH' ? answer(410, '', { 'Upload-State': 'failed;reason=digest-mismatch' }) : undefined
    const [task] = await tab().add([fileOf('a', noise(UNIT))])
    await world.run()
    await expect(task?.done).rejects.toMatchObject({ code: 'failed' })
    expect(server.log.filter((request) => request.method === 'POST')).toHaveLength(1)
  })

  test('expired: it begins anew', async () => {
    await load()
    let once = true
    server.rule = ({ method }) => {
      if (method !== 'PATCH' || !once) return undefined
      once = false
      return answer(410, '', { 'Upload-State': 'expired' })
    }
    const [task] = await tab().add([fileOf('a', noise(UNIT))])
    await world.run()
    expect(task?.state).toBe('done')
    const keys = server.log.filter(({ method }) => method === 'POST').map(({ headers }) => headers['Idempotency-Key'])
    expect(new Set(keys).size).toBe(2)
  })
})

test('460 of tus: the body was hurt on its way and goes again', async () => {
  await import('../../src/protocol/tus.js')
  let once = true
  server.rule = ({ method }) => {
    if (method !== 'PATCH' || !once) return undefined
    once = false
    return answer(460)
  }
  const [task] = await world
    .tab({ net: server, protocol: 'tus', endpoint: 'http://test/files' })
    .add([fileOf('a', noise(9))])
  await world.run()
  expect(task?.state).toBe('done')
})

test('the largest append that the draft allows is kept to', async () => {
  await import('../../src/protocol/ietf.js')
  server.rule = ({ method, headers }) => {
    if (method !== 'POST') return undefined
    server.size = Number(headers['Upload-Length'])
    return answer(201, '', { Location: '/files/abc', 'Upload-Limit': 'max-size=1000000, max-append-size=100000' })
  }
  const page = world.tab({ net: server, protocol: 'ietf', endpoint: 'http://test/files' })
  const [task] = await page.add([fileOf('a', noise(UNIT))])
  await world.run()
  expect(task?.state).toBe('done')
  const offsets = server.log
    .filter(({ method }) => method === 'PATCH')
    .map(({ headers }) => Number(headers['Upload-Offset']))
  expect(offsets.slice(0, 3)).toEqual([0, 100_000, 200_000])
})

test('the chunk protocol tells what the browser takes a file for, so that a server may refuse it', async () => {
  const tab = world.tab()
  await tab.add([fileOf('page.html', noise(5), { type: 'text/html' }), fileOf('unknown', noise(6))], {
    meta: { a: 'b' },
  })
  await world.run()
  const told = world.server.requests.filter(
    ({ method, body }) => method === 'POST' && String(body).includes('metadata'),
  )
  expect(told.map(({ body }) => JSON.parse(String(body)).metadata)).toEqual([
    { a: 'b', filetype: 'text/html' },
    { a: 'b' },
  ])
})
