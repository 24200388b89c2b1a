// Somebody's own site, on an origin of its own and under a policy of its own.
import http from 'node:http'

export class Site {
  /** `files`: paths and what is there; pages are told `policy`. */
  static async with(files, policy) {
    const site = new Site()
    site.server = http.createServer((request, response) => {
      const body = files[request.url]
      const type = request.url.endsWith('.js') ? 'text/javascript' : 'text/html'
      response.writeHead(body === undefined ? 404 : 200, {
        'Content-Type': `${type}; charset=utf-8`,
        'Content-Security-Policy': policy,
      })
      response.end(body ?? '')
    })
    await new Promise((resolve) => site.server.listen(0, '127.0.0.1', resolve))
    site.url = `http://127.0.0.1:${site.server.address().port}`
    return site
  }

  async close() {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}
