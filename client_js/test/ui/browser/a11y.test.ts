import axe from 'axe-core'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { State } from '../../../src/core/types.js'
import { OnwardUpload } from '../../../src/ui/element.js'
import { loadUploads } from '../../../src/ui/panel.js'
import { failure, ScriptedUploader } from '../scripted.js'

const STATES: State[] = ['queued', 'preparing', 'uploading', 'waiting', 'paused', 'needs-file', 'needs-permission']
STATES.push('elsewhere', 'verifying', 'assembling', 'done', 'failed', 'cancelled')

beforeAll(loadUploads)

afterEach(() => {
  document.body.replaceChildren()
  document.documentElement.removeAttribute('style')
})

async function violations(element: Element): Promise<string[]> {
  const { violations: found } = await axe.run(element, { rules: { region: { enabled: false } } })
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join()).join(' ')}`)
}

async function settled(): Promise<void> {
  await Promise.all(document.getAnimations().map(({ finished }) => finished))
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
}

test.each([
  ['light', 'inline'],
  ['dark', 'inline'],
  ['light', 'dock'],
  ['dark', 'dock'],
])('%s, %s: every state is perceivable and operable', async (scheme, panel) => {
  document.documentElement.lang = 'en'
  document.documentElement.style.setProperty('color-scheme', scheme)
  document.documentElement.style.setProperty('background', scheme === 'dark' ? '#0e1218' : '#f3f5f8')
  const uploader = new ScriptedUploader()
  const result = { id: '1', url: '/c', size: 5e6, sha256: 'ab'.repeat(32), ownSha256: 'ab'.repeat(32), verified: true }
  for (const state of STATES) {
    const progress = { acked: 3e6, inFlight: 1e6, retries: 2, resumes: 1, bytesPerSecond: 1e6, etaSeconds: 2 }
    const more = state === 'done' ? { result } : state === 'failed' ? { error: failure('network') } : {}
    const task = uploader.put(`${state}.bin`, 5e6, { state, progress, retryAt: Date.now() + 60_000, ...more })
    task.history = (['stored', 'failed', 'stopped'] as const).map((outcome, lane) => {
      return { lane, start: 0, end: 5e6, since: 0, until: 1000 * lane + 1, outcome, stored: lane ? 0 : 5e6 }
    })
  }
  const element = new OnwardUpload()
  for (const name of ['multiple', 'directory', 'details']) element.setAttribute(name, '')
  element.setAttribute('panel', panel)
  element.style.setProperty('--onward-list-height', 'none')
  element.uploader = uploader
  document.body.append(element)
  await settled()
  for (const button of element.shadowRoot?.querySelectorAll<HTMLElement>('.more') ?? []) button.click()
  const inside = (selector: string) => element.shadowRoot?.querySelectorAll(selector).length ?? 0
  await vi.waitFor(() => expect(inside('canvas.tracks')).toBeGreaterThan(0))
  await settled()
  expect(inside('.row')).toBeGreaterThan(4)
  expect(await violations(element)).toEqual([])
})

test('an empty element is, too', async () => {
  document.documentElement.lang = 'en'
  const element = new OnwardUpload()
  element.uploader = new ScriptedUploader()
  document.body.append(element)
  await settled()
  expect(await violations(element)).toEqual([])
})
