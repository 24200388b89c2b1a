import { readdirSync, readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import pageDe from '../../demo/words/de.json' with { type: 'json' }
import pageEn from '../../demo/words/en.json' with { type: 'json' }
import { wordsIn } from '../../demo/words.js'
import type { ErrorCode } from '../../src/core/errors.js'
import { UploadError } from '../../src/core/errors.js'
import type { State } from '../../src/core/types.js'
import de from '../../src/ui/i18n/de.json' with { type: 'json' }
import { chooseLanguage, type Dictionary, isLoaded, LANGUAGES, loadLanguage, Words } from '../../src/ui/i18n/index.js'
import { explain, phraseOf } from '../../src/ui/phrases.js'
import { CODES, english as en, STATES } from './codes.js'
import './english.js'
import { failure, ScriptedUploader } from './scripted.js'

const languages: Record<string, Dictionary> = { en, de }
const pageWords: Record<string, Dictionary> = { en: pageEn, de: pageDe }

beforeAll(() => loadLanguage('de'))

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()

describe.each([
  ['element', languages],
  ['page', pageWords],
] as [string, Record<string, Dictionary>][])('the words of the %s', (_, all) => {
  test('are the same keys in each language', () => {
    expect(Object.keys(all.de ?? {}).sort()).toEqual(Object.keys(all.en ?? {}).sort())
  })

  test('have the same things to fill in, and are no copies', () => {
    const { de = {}, en = {} } = all
    for (const [key, text] of Object.entries(en)) {
      expect([key, holes(de[key] ?? '')]).toEqual([key, holes(text)])
      expect(text.trim(), key).not.toBe('')
      if (text.split(' ').length > 3) expect(de[key], key).not.toBe(text)
    }
  })
})

test('every language that is spoken has words of its own', async () => {
  expect([...LANGUAGES].sort()).toEqual(Object.keys(languages).sort())
  for (const lang of LANGUAGES) {
    await loadLanguage(lang)
    expect(isLoaded(lang)).toBe(true)
    expect(new Words(lang).text('action.pause')).toBe(languages[lang]?.['action.pause'])
  }
})

describe.each(['en', 'de'])('in %s', (lang) => {
  let words: Words
  beforeAll(() => {
    words = new Words(lang)
  })

  test.each(Object.keys(CODES))('%s is told as what happened and what to do', (code) => {
    const said = explain(failure(code as ErrorCode, { status: 503 }), words)
    expect(said).not.toBe(words.text('error.unknown'))
    expect(said).toMatch(/^[A-ZÄÖÜ].*[.]$/)
    expect(said).not.toMatch(/[{}]/)
  })

  test.each(Object.keys(STATES))('the state %s has a name and says nothing unfilled', (state) => {
    const task = new ScriptedUploader().put('film.mkv', 1e9, { state: state as State, progress: { acked: 4e8 } })
    const phrase = phraseOf(task.view, words, 0)
    expect(words.has(`state.${state}`)).toBe(true)
    for (const text of Object.values(phrase).flat()) expect(text).not.toMatch(/[{}]|undefined|say\./)
  })

  test('what the server says is told in its own words where there are any', () => {
    expect(explain(failure('failed', { problem: 'digest-mismatch' }), words)).toBe(
      words.text('problem.digest-mismatch'),
    )
    const refused = new UploadError('auth', 'web pages are not taken', { problem: 'refused' })
    expect(explain(refused, words)).toMatch(/^(The server|Der Server) .*web pages are not taken.*[.]$/)
    expect(explain(failure('failed', { problem: 'never-heard-of' }), words)).toBe(words.text('error.failed'))
    expect(explain(failure('http', { status: 418 }), words)).toContain('418')
  })

  test('every text of the page can be said', async () => {
    const page = await wordsIn(lang)
    expect(page.text('nav.upload')).toBe(pageWords[lang]?.['nav.upload'])
    expect(page.text('action.pause')).toBe(languages[lang]?.['action.pause'])
  })
})

test('plurals are those of the language', () => {
  expect(new Words('en').count('say.retries', 1)).toBe('1 retry')
  expect(new Words('en').count('say.retries', 2)).toBe('2 retries')
  expect(new Words('de').count('say.retries', 1000)).toBe('1.000 Wiederholungen')
})

test('the first language that is spoken is chosen, else English', () => {
  expect(chooseLanguage(['fr-CH', 'de-AT', 'en'])).toBe('de')
  expect(chooseLanguage(['fr'])).toBe('en')
  expect(chooseLanguage([])).toBe('en')
})

test('every text is said somewhere', () => {
  const folders = ['../../src/ui/', '../../demo/'].map((path) => new URL(path, import.meta.url))
  const code = folders
    .flatMap((folder) => readdirSync(folder).map((name) => new URL(name, folder)))
    .filter(({ pathname }) => /\.(ts|html)$/.test(pathname))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  // Said by a key that is put together: `state.${state}`.
  const joined = [...code.matchAll(/`((?:[a-z]+\.)+)\$\{/g)].map(([, start]) => start as string)
  expect(joined).toContain('state.')
  for (const key of Object.keys({ ...en, ...pageEn })) {
    const base = key.replace(/\.(one|other)$/, '')
    const isSaid =
      code.includes(`'${base}`) || code.includes(`"${base}"`) || joined.some((start) => base.startsWith(start))
    expect([key, isSaid]).toEqual([key, true])
  }
})
