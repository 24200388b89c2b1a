/** Texts that are copied by a click. */

import { setText } from './dom.js'
import type { Words } from './i18n/index.js'

const SHOWN = 2000

/** Copies `text`, which stands in `shown`, and says so for a moment in the label of the button `by`. */
export async function copyText(text: string, by: HTMLElement, shown: HTMLElement, words: Words): Promise<void> {
  const label = by.querySelector('span') as HTMLElement
  const before = label.textContent ?? ''
  try {
    // Absent where the page came over plain http.
    await navigator.clipboard.writeText(text)
  } catch {
    getSelection()?.selectAllChildren(shown)
    if (!document.execCommand('copy')) return
  }
  setText(label, words.text('action.copied'))
  setTimeout(() => setText(label, before), SHOWN)
}
