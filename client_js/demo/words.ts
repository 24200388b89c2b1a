/** The language of the page, and the texts that the page adds to those of the element. */

import { chooseLanguage, type Dictionary, loadLanguage, Words } from '../src/ui/i18n/index.js'
import en from './words/en.json' with { type: 'json' }

/** The page's texts of languages other than English. */
const OTHERS: Readonly<Record<string, () => Promise<Dictionary>>> = {
  de: async () => (await import('./words/de.js')).de,
}

const KEPT = 'onward-language'

/** The language that was chosen here before, or the first of the browser's that the page speaks. */
export function startLanguage(): string {
  const kept = recall(KEPT)
  return chooseLanguage(kept ? [kept] : navigator.languages)
}

/** All that the page says in one language; what cannot be fetched is said in English. */
export async function wordsIn(lang: string): Promise<Words> {
  const [own] = await Promise.all([OTHERS[lang]?.().catch(() => undefined), loadLanguage(lang)])
  return new Words(lang, { ...en, ...own })
}

/** Fills the texts of the page that stand in its HTML. */
export function translate(words: Words): void {
  document.documentElement.lang = words.lang
  for (const element of document.querySelectorAll<HTMLElement>('[data-t]')) {
    element.textContent = words.text(element.dataset.t ?? '')
  }
  for (const element of document.querySelectorAll<HTMLElement>('[data-t-label]')) {
    element.setAttribute('aria-label', words.text(element.dataset.tLabel ?? ''))
  }
}

export function keepLanguage(lang: string): void {
  remember(KEPT, lang)
}

/** What was kept in this browser; nothing where the browser keeps nothing. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // Then it holds until the tab is closed.
  }
}
