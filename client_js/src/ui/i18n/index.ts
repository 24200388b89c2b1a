/** Words of the interface: one dictionary for each language, chosen by tag, plurals by `Intl`. */

import { Formats } from '../format.js'
import en from './en.json' with { type: 'json' }

export type Dictionary = Readonly<Record<string, string>>
export type Params = Readonly<Record<string, string | number>>

/** Where the words of each language are that is not English; fetched when somebody reads it. */
const OTHERS: Readonly<Record<string, () => Promise<Dictionary>>> = {
  de: async () => (await import('./de.js')).de,
}
const loaded: Record<string, Dictionary> = { en }

/** Words that come with a part of the interface which is fetched later; in English, as other languages come whole. */
export function learn(words: Dictionary): void {
  loaded.en = { ...loaded.en, ...words }
}

/** Languages that the interface speaks. */
export const LANGUAGES: readonly string[] = ['en', ...Object.keys(OTHERS)]

/** The first of `wanted` that there is a dictionary for; English if there is none. */
export function chooseLanguage(wanted: readonly string[]): string {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0] as string
    if (LANGUAGES.includes(base)) return base
  }
  return 'en'
}

/** True if the words of this language can be said at once. */
export function isLoaded(lang: string): boolean {
  return lang in loaded
}

/** Fetches the words of a language. Without them the interface goes on in English. */
export async function loadLanguage(lang: string): Promise<void> {
  try {
    loaded[lang] ??= (await OTHERS[lang]?.()) ?? {}
  } catch (error) {
    loaded[lang] = {}
    console.warn('the interface stays in English', error)
  }
}

/** The interface in one language: its words, and how it writes numbers. */
export class Words {
  readonly lang: string
  readonly formats: Formats
  readonly #extra: Dictionary
  readonly #plural: Intl.PluralRules

  /** The language must have been loaded, or it is English. `extra` goes before the built-in words, for pages that say more, or say it otherwise. */
  constructor(lang: string, extra: Dictionary = {}) {
    this.lang = lang
    this.formats = new Formats(lang)
    this.#plural = new Intl.PluralRules(lang)
    this.#extra = extra
  }

  /** True if there is a text for `key`. */
  has(key: string): boolean {
    return this.#found(key) !== undefined
  }

  /** The text for `key` with `{words}` in braces filled in. A missing text shows its key. */
  text(key: string, params: Params = {}): string {
    return (this.#found(key) ?? key).replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = params[name]
      if (value === undefined) return whole
      return typeof value === 'number' ? this.formats.number(value) : value
    })
  }

  /** The text for so many: `key.one`, `key.other`, as the language has it. */
  count(key: string, n: number, params: Params = {}): string {
    const form = `${key}.${this.#plural.select(n)}`
    return this.text(this.has(form) ? form : `${key}.other`, { n, ...params })
  }

  #found(key: string): string | undefined {
    return this.#extra[key] ?? loaded[this.lang]?.[key] ?? loaded.en?.[key]
  }
}
