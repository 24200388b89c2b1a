import type { Lane, Sending } from './types.js'

/** Requests of one upload that are remembered; the oldest go first. */
const MOST = 4096

/** What became of the requests of one upload, in the order of their ends. */
export class History {
  readonly list: Sending[] = []

  /** `stored`: bytes that the server took; none of a request that `failed` or was broken off. */
  add(lane: Lane, until: number, outcome: Sending['outcome'], stored: number): void {
    this.list.push({ lane: lane.lane, start: lane.start, end: lane.end, since: lane.since, until, outcome, stored })
    if (this.list.length > MOST) this.list.shift()
  }
}
