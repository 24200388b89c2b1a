/** German, in a file of its own: fetched when somebody reads it. */
import words from './de.json' with { type: 'json' }

export const de: Readonly<Record<string, string>> = words
