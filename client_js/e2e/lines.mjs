// What lies between a browser and a server: a line that can go dead, and a proxy that meddles with requests.
import http from 'node:http'
import net from 'node:net'

async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server.address().port
}

/** Ends `line` whatever happens. */
export async function through(line, run) {
  try {
    return await run(line)
  } finally {
    await line.close()
  }
}

/** Forwards connections to a port. */
export class Line {
  static async to(port) {
    const line = new Line()
    line.links = new Set()
    line.mode = 'open'
    line.connections = 0
    line.rate = Number.POSITIVE_INFINITY // bytes per second of one connection
    line.server = net.createServer((near) => line.accept(near, port))
    line.port = await listening(line.server)
    line.url = `http://127.0.0.1:${line.port}`
    return line
  }

  accept(near, port) {
    this.connections += 1
    if (this.mode === 'refusing') return near.destroy()
    const link = { near, far: net.connect(port, '127.0.0.1'), dead: this.mode === 'hole' }
    this.links.add(link)
    const end = () => {
      this.links.delete(link)
      near.destroy()
      link.far.destroy()
    }
    const pass = (from, to) => {
      from.on('data', (piece) => {
        if (link.dead) return
        const wait = (piece.length / this.rate) * 1000
        if (!to.write(piece) || wait >= 1) from.pause()
        if (wait >= 1) setTimeout(() => from.resume(), wait)
      })
      to.on('drain', () => from.resume())
      from.on('end', () => link.dead || to.end())
      from.on('close', () => link.dead || end())
      from.on('error', () => link.dead || end())
    }
    pass(near, link.far)
    pass(link.far, near)
  }

  /** As a laptop that sleeps: nothing is forwarded, nothing is closed. What was connected then stays dead for ever. */
  fallAsleep() {
    this.mode = 'hole'
    for (const link of this.links) link.dead = true
  }

  /** New connections get through from now on. */
  wake() {
    this.mode = 'open'
  }

  /** Every connection is reset, and new ones are refused. */
  cut() {
    this.mode = 'refusing'
    for (const link of this.links) {
      link.near.resetAndDestroy()
      link.far.destroy()
    }
    this.links.clear()
  }

  async close() {
    for (const link of this.links) {
      link.near.destroy()
      link.far.destroy()
    }
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/**
 * An HTTP proxy to `port`. For each request `rule(request, size)` says what becomes of it: nothing (it is passed on), an
 * answer `{ status, headers, body }` instead of the server's, or `{ flip: n }`: the body's byte n is altered.
 */
export class Meddler {
  static async to(port) {
    const meddler = new Meddler()
    meddler.rule = () => null
    meddler.heard = () => {} // told of each answer of the server
    meddler.done = []
    meddler.server = http.createServer((request, response) => meddler.pass(request, response, port))
    meddler.port = await listening(meddler.server)
    meddler.url = `http://127.0.0.1:${meddler.port}`
    return meddler
  }

  pass(request, response, port) {
    const deed = this.rule(request, Number(request.headers['content-length'] ?? 0))
    if (deed) this.done.push(deed)
    if (deed?.status) {
      // As proxies do: the answer comes before the body has, and the connection ends.
      response.writeHead(deed.status, { Connection: 'close', ...deed.headers })
      response.end(deed.body ?? '')
      return
    }
    const { method, headers } = request
    const onward = http.request({ port, host: '127.0.0.1', method, path: request.url, headers }, (answer) => {
      this.heard(request, answer.statusCode)
      response.writeHead(answer.statusCode, answer.rawHeaders)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    let seen = 0
    request.on('data', (piece) => {
      if (deed?.flip >= seen && deed.flip < seen + piece.length) piece[deed.flip - seen] ^= 1
      seen += piece.length
      if (!onward.write(piece)) request.pause()
    })
    onward.on('drain', () => request.resume())
    request.on('end', () => onward.end())
  }

  async close() {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}
