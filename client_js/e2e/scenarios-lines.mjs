// Lines that are not what they seem.
import { throttle } from './browser.mjs'
import { MIB } from './files.mjs'
import { Line, through } from './lines.mjs'
import { Person } from './person.mjs'

/** Every connection that there is goes dead at once, as after a change of networks; new ones get through. */
async function deadConnections(stage) {
  const { server, files, visit } = stage
  const file = files.random(`dead-${Date.now()}.bin`, 16 * MIB)
  return through(await Line.to(server.port), async (line) => {
    visit.origins.push(line.url)
    const person = new Person(await visit.open(`${line.url}/ui/`))
    await throttle(person.page, { up: 6 * MIB, latency: 20 })
    await person.pick(file)
    await person.reachesPercent(file, 30)
    line.fallAsleep()
    line.wake()
    const [dead, died] = [line.links.size, Date.now()]
    const figures = await person.isDone(file, server)
    return { ...figures, 'connections that died': dead, 'done after': `${Date.now() - died} ms` }
  })
}

/** Played at full length alone: the patience with a silent connection is 15 seconds. */
export const LINES = {
  'dead connections': deadConnections,
}
