/** What stands beside the uploads: the protocol for new files, and how to send them from a terminal. */

import type { Protocol } from '../src/core/types.js'
import { copyText } from '../src/ui/copying.js'
import { h } from '../src/ui/dom.js'
import type { Words } from '../src/ui/i18n/index.js'

export const PROTOCOLS: readonly Protocol[] = ['chunk', 'tus', 'ietf']

/** Radio buttons, as there is one choice of three. */
export function protocolCard(words: Words, current: Protocol, onChoose: (protocol: Protocol) => void): HTMLElement {
  const options = PROTOCOLS.map((protocol) => {
    const input = h('input', { type: 'radio', name: 'protocol', value: protocol, checked: protocol === current })
    input.addEventListener('change', () => onChoose(protocol))
    const said = h('span', { class: 'small' }, words.text(`protocol.${protocol}.text`))
    return h('label', { class: 'option' }, input, h('span', {}, h('b', {}, words.text(`protocol.${protocol}`)), said))
  })
  return h(
    'fieldset',
    { class: 'card' },
    h('legend', {}, words.text('protocol.title')),
    ...options,
    h('p', { class: 'small' }, words.text('protocol.note')),
  )
}

/** The command that does the same without a browser. */
export function shellCard(words: Words): HTMLElement {
  const command = `onward put FILE ${location.origin}`
  const code = h('code', { class: 'command' }, command)
  const copy = h('button', { type: 'button', class: 'button' }, h('span', {}, words.text('shell.copy')))
  copy.addEventListener('click', () => void copyText(command, copy, code, words))
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'shell-title' },
    h('h2', { id: 'shell-title' }, words.text('shell.title')),
    h('p', { class: 'small' }, words.text('shell.text')),
    code,
    copy,
  )
}
