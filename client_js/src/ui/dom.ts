/** The few lines that make elements; text is always set as text, so no name can become markup. */

type Child = Node | string | null | undefined | false
type Value = string | number | boolean | null | undefined

/** An element with attributes (`false` and `null` leave one out) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    made.setAttribute(name, value === true ? '' : String(value))
  }
  for (const child of children) {
    if (child) made.append(child)
  }
  return made
}

/** A button that does `run`; `kind` is its class. */
export function button(kind: string, run: (() => void) | null, ...children: readonly Child[]): HTMLButtonElement {
  const made = h('button', { type: 'button', class: kind }, ...children)
  if (run) made.addEventListener('click', run)
  return made
}

/** Sets the text if it is another one; a screen reader and a selection notice each change. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** Sets an attribute if its value is another one; `null` takes it away. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (element.getAttribute(name) === value) return
  if (value === null) element.removeAttribute(name)
  else element.setAttribute(name, value)
}

const SVG = 'http://www.w3.org/2000/svg'

const PATHS = {
  pause: 'M7 4.5v11M13 4.5v11',
  play: 'M6 4l10 6-10 6z',
  retry: 'M15.5 8A6 6 0 1 0 16 11.5M16 3.5V8h-4.5',
  close: 'M5 5l10 10M15 5L5 15',
  file: 'M5.5 2.5h6l3.5 3.5v11.5h-9.5zM11.5 2.5V6H15',
  folder: 'M2.5 15.5v-11h5l2 2h8v9z',
  copy: 'M7 7h9v9H7zM13 7V4H4v9h3',
  check: 'M4 10.5l4 4 8-9',
  alert: 'M10 3l8 14H2zM10 8v4M10 14.2v.6',
  down: 'M5 8l5 5 5-5',
  save: 'M10 3v10M5.5 9L10 13.5 14.5 9M4 17h12',
  up: 'M10 14V3.5M5.5 8L10 3.5 14.5 8M3.5 13v3.5h13V13',
  clock: 'M10 3a7 7 0 1 0 .01 0M10 6v4.5l3 1.5',
} as const

export type IconName = keyof typeof PATHS

/** A line drawing in the colour of the text around it; says nothing to a screen reader. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 20 20')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', PATHS[name])
  svg.append(path)
  return svg
}

/** Puts another drawing into an icon. */
export function setIcon(svg: SVGSVGElement, name: IconName): void {
  const path = svg.firstElementChild as SVGPathElement
  if (path.getAttribute('d') !== PATHS[name]) path.setAttribute('d', PATHS[name])
}
