/** How sizes, speeds and times are said in one language. Nothing here knows the DOM. */

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const
const STEP = 1000

/** Writes numbers the way `locale` does. Cheap to call, not cheap to make: make one for each language. */
export class Formats {
  readonly #locale: string
  readonly #percent: Intl.NumberFormat
  readonly #whole: Intl.NumberFormat
  readonly #cache = new Map<string, Intl.NumberFormat>()

  constructor(locale: string) {
    this.#locale = locale
    this.#percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 })
    this.#whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
  }

  /** `8.4 MB`: decimal units, two significant digits below ten. */
  bytes(count: number): string {
    const [value, unit] = scaled(count)
    return this.#unit(unit, value < 10 && unit !== 'byte' ? 1 : 0).format(value)
  }

  /** `12 MB/s`. */
  speed(bytesPerSecond: number): string {
    const [value, unit] = scaled(bytesPerSecond)
    return this.#unit(`${unit}-per-second`, value < 10 && unit !== 'byte' ? 1 : 0).format(value)
  }

  /** A share of one; never `100 %` before all is there, never `0 %` once something is. */
  percent(share: number): string {
    return this.#percent.format(steady(share))
  }

  /** `1,204`. */
  number(count: number): string {
    return this.#whole.format(count)
  }

  /** `2 min`, `1 hr 5 min`: the two largest units that matter. */
  duration(seconds: number): string {
    const whole = Math.max(1, Math.round(seconds))
    if (whole < 60) return this.#unit('second', 0).format(whole)
    const minutes = Math.round(whole / 60)
    if (minutes < 60) return this.#unit('minute', 0).format(minutes)
    const hours = Math.floor(minutes / 60)
    if (hours >= 48) return this.#unit('day', 0).format(Math.round(hours / 24))
    const rest = minutes % 60
    const said = this.#unit('hour', 0).format(hours)
    return rest === 0 ? said : `${said} ${this.#unit('minute', 0).format(rest)}`
  }

  /** A short time as it was measured: `40 ms`, `3.1 sec`; from ten seconds on like `duration`. */
  moment(seconds: number): string {
    if (seconds < 0.9995) return this.#unit('millisecond', 0).format(Math.max(0, seconds) * 1000)
    return seconds < 9.95 ? this.#unit('second', 1).format(seconds) : this.duration(seconds)
  }

  #unit(unit: string, digits: number): Intl.NumberFormat {
    const key = `${unit}:${digits}`
    let found = this.#cache.get(key)
    if (!found) {
      const shape = { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: digits } as const
      found = new Intl.NumberFormat(this.#locale, shape)
      this.#cache.set(key, found)
    }
    return found
  }
}

function scaled(count: number): [number, string] {
  let value = Math.max(0, count)
  // Nothing is `0 kB`: no language writes "0 byte".
  let index = value === 0 ? 1 : 0
  // 999.6 would be written as 1000 of the smaller unit.
  while (value >= STEP - 0.5 && index < UNITS.length - 1) {
    value /= STEP
    index += 1
  }
  return [value, UNITS[index] as string]
}

/** A share that says 0 only of nothing and 1 only of everything, in steps of a hundredth. */
export function steady(share: number): number {
  if (!(share > 0)) return 0
  if (share >= 1) return 1
  return Math.min(0.99, Math.max(0.01, Math.round(share * 100) / 100))
}
