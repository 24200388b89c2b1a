/**
 * How the element looks. Colours follow the page's `color-scheme`; each is a custom property.
 *
 * Blue is what the server has acknowledged, pale blue what is on its way, green what is proven.
 */
const STYLES = `
:host {
  --_ink: var(--onward-ink, light-dark(#161b24, #e9edf3));
  --_muted: var(--onward-muted, light-dark(#566072, #9fabbc));
  --_surface: var(--onward-surface, light-dark(#ffffff, #171c24));
  --_sunken: var(--onward-sunken, light-dark(#f3f5f8, #10141a));
  --_line: var(--onward-line, light-dark(#dde2ea, #2b3340));
  --_accent: var(--onward-accent, light-dark(#2456c8, #7aa2ff));
  --_on-accent: var(--onward-on-accent, light-dark(#ffffff, #0c1526));
  --_pale: var(--onward-pale, light-dark(#b9ccf6, #324a85));
  --_proven: var(--onward-proven, light-dark(#14744a, #4fc58d));
  --_warn: var(--onward-warn, light-dark(#8a5200, #efb45c));
  --_fail: var(--onward-fail, light-dark(#b3261e, #ff958c));
  --_radius: var(--onward-radius, 12px);
  display: block;
  color: var(--_ink);
  font-family: var(--onward-font, system-ui, sans-serif);
  font-size: var(--onward-font-size, 0.9375rem);
  line-height: 1.45;
  font-variant-numeric: tabular-nums;
}
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }
p, h2, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.icon { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.75;
  stroke-linecap: round; stroke-linejoin: round; }
.body { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; container-type: inline-size; }
button, a { font: inherit; color: inherit; }
button { cursor: pointer; }
button:disabled { cursor: default; opacity: 0.55; }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }

.quiet, .solid, .chip { display: inline-flex; align-items: center; justify-content: center; gap: 0.4em;
  min-height: 2.25rem; min-width: 2.25rem; padding: 0 0.6rem; border: 1px solid transparent; border-radius: 8px;
  background: none; text-decoration: none; white-space: nowrap; transition: background-color 120ms, border-color 120ms; }
.quiet { color: var(--_muted); }
.quiet:hover { color: var(--_ink); background: color-mix(in srgb, var(--_ink) 7%, transparent); }

.drop { position: relative; }
.drop-button { --_cell: color-mix(in srgb, var(--_ink) 5.5%, transparent); display: grid; justify-items: center;
  align-content: center; gap: 0.35rem; width: 100%; min-height: 11rem; padding: 1.5rem 1.5rem 3.5rem; border: 1px solid var(--_line);
  border-radius: var(--_radius); text-align: center; background-color: var(--_surface);
  background-image: radial-gradient(ellipse 60% 75% at 50% 45%, var(--_surface) 35%, transparent),
    linear-gradient(var(--_surface) 2px, transparent 2px), linear-gradient(90deg, var(--_surface) 2px, transparent 2px),
    linear-gradient(var(--_cell), var(--_cell));
  background-size: 100% 100%, 14px 14px, 14px 14px, 100% 100%; transition: border-color 120ms; }
.drop-button:hover { border-color: var(--_accent); }
.drop-button:hover, .drop-button.over { --_cell: color-mix(in srgb, var(--_accent) 20%, transparent); }
.drop-button.over { border-color: var(--_accent); box-shadow: inset 0 0 0 1px var(--_accent); }
.drop-button .icon { width: 1.75rem; height: 1.75rem; color: var(--_accent); }
.drop-button .title { font-size: 1.125rem; font-weight: 600; text-wrap: balance; }
.drop-button .hint { color: var(--_muted); max-width: 34rem; text-wrap: balance; }
.folder-button { position: absolute; inset-block-end: 0.75rem; inset-inline: 0; margin-inline: auto; width: max-content; }
.drop:not(:has(.folder-button:not([hidden]))) .drop-button { padding-block-end: 1.5rem; }
.overlay { position: fixed; inset: 0; z-index: 2147483000; display: grid; place-content: center; justify-items: center;
  gap: 0.75rem; pointer-events: none; color: var(--_accent); font-size: 1.5rem; font-weight: 600;
  background: color-mix(in srgb, var(--_surface) 95%, transparent); }
.overlay::after { content: ''; position: absolute; inset: 1rem; border: 2px solid currentColor; border-radius: 20px; }
.overlay .icon { width: 3rem; height: 3rem; }

[data-empty=true] .drop-button { min-height: var(--onward-empty-height, 11rem); }
.notice { padding: 0.7rem 1rem; border-radius: var(--_radius); color: var(--_fail);
  background: color-mix(in srgb, var(--_fail) 8%, var(--_surface)); }

:host([panel=dock]) { position: fixed; inset-block-end: 1rem; inset-inline-end: 1rem; z-index: 1000; width: min(26rem, calc(100vw - 2rem)); }
:host([panel=dock]) .panel { overflow: hidden; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface);
  box-shadow: 0 12px 40px rgb(0 0 0 / 0.22); }
:host([panel=dock]) .body { gap: 0.5rem; padding: 0.75rem; max-height: calc(100vh - 6rem); overflow: auto; }
:host([panel=dock]) .drop .drop-button { display: flex; align-items: center; justify-content: center; gap: 0.6rem; min-height: 3rem; padding: 0.5rem; }
:host([panel=dock]) .drop-button .icon { width: 1.25rem; height: 1.25rem; }
:host([panel=dock]) .drop-button .title { font-size: 0.9375rem; }
:host([panel=dock]) :is(.hint, .folder-button, .summary, .filters, .tools:not(:has(.all > :not([hidden])))) { display: none; }

@container (max-width: 560px) {
  .drop-button, [data-empty=true] .drop-button { min-height: 9.5rem; padding-inline: 1rem; }
}
@media (pointer: coarse) { .quiet, .solid { min-height: 2.75rem; min-width: 2.75rem; } }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`

let shared: CSSStyleSheet | undefined
let more = ''

/** The one sheet of all elements of a page. */
export function sheet(): CSSStyleSheet {
  if (!shared) {
    shared = new CSSStyleSheet()
    shared.replaceSync(STYLES + more)
  }
  return shared
}

/** What comes with a part that is fetched later. */
export function addStyles(styles: string): void {
  more += styles
  shared?.replaceSync(STYLES + more)
}
