import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ErrorCode, WarningCode } from '../../src/core/errors.js'
import { warningOf } from '../../src/core/notices.js'
import de from '../../src/ui/i18n/de.json' with { type: 'json' }
import { Words } from '../../src/ui/i18n/index.js'
import { phraseOf } from '../../src/ui/phrases.js'
import { CODES, english, STATES } from './codes.js'
import { ScriptedUploader } from './scripted.js'
import './english.js'

/** Complete by its type. */
const WARNINGS: Record<WarningCode, true> = {
  'begun-anew': true,
  'other-file': true,
  'server-differs': true,
  renamed: true,
  'smaller-chunks': true,
  damaged: true,
  'file-gone': true,
  'file-changed': true,
  'not-told': true,
  'no-return': true,
}

const page = readFileSync(new URL('../../../docs/reference/browser-client.md', import.meta.url), 'utf8')

/** The words in the first column of the table below a heading. */
function listed(heading: string): string[] {
  const section = page.split(/^## /m).find((one) => one.startsWith(heading)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, word = '']) => word))
}

describe('the reference page names them all, and no others', () => {
  test.each([
    ['Codes of errors', CODES as Record<ErrorCode, true>],
    ['Codes of warnings', WARNINGS],
    ['States', STATES],
  ])('%s', (heading, all) => {
    expect(listed(heading).sort()).toEqual(Object.keys(all).sort())
  })
})

test.each(Object.keys(WARNINGS) as WarningCode[])('the warning %s is said in each language', (code) => {
  const warning = warningOf(code, { name: 'film.mkv', bytes: 5_000_000 })
  expect(warning.message).not.toContain('undefined')
  const view = new ScriptedUploader().put('film.mkv', 10, { state: 'uploading', warning }).view
  const said = phraseOf(view, new Words('en'), 0).sentence
  expect(said).toMatch(/^[^{}]+\.$/)
  expect(said).not.toContain('warning.')
  const german = (de as Record<string, string>)[`warning.${code}`]
  expect(german).toBeTruthy()
  expect(german).not.toBe(english[`warning.${code}`])
})
