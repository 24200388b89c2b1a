/**
 * How the element looks. Colours follow the page's `color-scheme`; each is a custom property.
 *
 * Blue is what the server has acknowledged, pale blue what is on its way, green what is proven.
 */
export const STYLES = `
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

.quiet, .solid, .outline, .chip { display: inline-flex; align-items: center; justify-content: center; gap: 0.4em;
  min-height: 2.25rem; min-width: 2.25rem; padding: 0 0.6rem; border: 1px solid transparent; border-radius: 8px;
  background: none; text-decoration: none; white-space: nowrap; transition: background-color 120ms, border-color 120ms; }
.quiet { color: var(--_muted); }
.quiet:hover { color: var(--_ink); background: color-mix(in srgb, var(--_ink) 7%, transparent); }
.quiet.sure { color: var(--_fail); border-color: currentColor; }
.solid { color: var(--_on-accent); background: var(--_accent); font-weight: 600; }
.solid:hover { background: color-mix(in srgb, var(--_accent) 88%, var(--_ink)); }
.outline { border-color: var(--_line); background: var(--_surface); }
.outline:hover { border-color: var(--_muted); }
.chip { min-height: 2rem; padding: 0 0.75rem; border-color: var(--_line); border-radius: 999px; color: var(--_muted);
  font-size: 0.875em; }
.chip[aria-pressed=true] { color: var(--_accent); border-color: currentColor;
  background: color-mix(in srgb, var(--_accent) 9%, transparent); }

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

.banner { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0.25rem 0.85rem; align-items: center; padding: 1rem 1.1rem;
  border: 1px solid color-mix(in srgb, var(--_accent) 45%, var(--_line)); border-radius: var(--_radius);
  background: color-mix(in srgb, var(--_accent) 7%, var(--_surface)); }
.banner > .icon { width: 1.5rem; height: 1.5rem; color: var(--_accent); }
.banner h2 { font-size: 1rem; font-weight: 650; }
.banner p { color: var(--_muted); overflow-wrap: anywhere; }
.choices { display: flex; flex-wrap: wrap; gap: 0.4rem; }
.notice { padding: 0.7rem 1rem; border-radius: var(--_radius); color: var(--_fail);
  background: color-mix(in srgb, var(--_fail) 8%, var(--_surface)); }

.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; min-height: 2.25rem; }
.summary { font-weight: 600; flex: 1 1 auto; }
.all, .filters { display: flex; flex-wrap: wrap; gap: 0.35rem; }
.filters { flex-basis: 100%; }

.list { max-height: var(--onward-list-height, max(32rem, 70vh)); overflow: auto; border: 1px solid var(--_line);
  border-radius: var(--_radius); background: var(--_surface); scrollbar-width: thin; }
[data-empty=true] .list { display: none; }
[data-empty=true] .drop-button { min-height: var(--onward-empty-height, 11rem); }
.none { padding: 1rem; color: var(--_muted); }
.row { --_tone: var(--_accent); display: grid; grid-template-columns: 1.5rem minmax(0, 1fr) auto; gap: 0 0.75rem;
  align-items: center; padding: 0.55rem 0.6rem 0.7rem 1rem; }
.row + .row { border-block-start: 1px solid var(--_line); }
.row[data-tone=done] { --_tone: var(--_proven); }
.row[data-tone=wait], .row[data-tone=ask] { --_tone: var(--_warn); }
.row[data-tone=fail] { --_tone: var(--_fail); }
.row[data-tone=calm] { --_tone: var(--_muted); }
.mark { display: grid; color: var(--_tone); }
.name { display: flex; align-items: baseline; gap: 0.6rem; min-width: 0; }
.file { display: flex; min-width: 0; font-weight: 600; white-space: pre; }
.head { overflow: hidden; text-overflow: ellipsis; }
.tail { flex: none; }
.folder { flex: 0 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--_muted); font-size: 0.875em; }
.buttons, .actions { display: flex; align-items: center; }
.more .icon { transition: rotate 160ms; }
.more[aria-expanded=true] .icon { rotate: 180deg; }
.bar { position: relative; grid-column: 2 / -1; height: 6px; margin-block: 0.1rem 0.35rem; margin-inline-end: 0.4rem; overflow: hidden; border-radius: 3px;
  background: color-mix(in srgb, var(--_ink) 9%, transparent); }
.bar i { position: absolute; inset: 0; transform-origin: 0 50%; transform: scaleX(0); transition: transform 200ms linear; }
:host(:dir(rtl)) .bar i { transform-origin: 100% 50%; }
.bar .flight { background: var(--_pale); }
.bar .acked { background: var(--_tone); }
.row[data-tone=calm] .acked, .row[data-tone=wait] .acked, .row[data-tone=ask] .acked { background: color-mix(in srgb, var(--_accent) 55%, var(--_muted)); }
.row[data-state=verifying] .acked, .row[data-state=assembling] .acked { background: var(--_proven); }
.row[data-state=verifying] .bar, .row[data-state=assembling] .bar { background: var(--_accent); }
.row[data-state=verifying] .flight, .row[data-state=assembling] .flight { display: none; }
.facts { grid-column: 2 / -1; display: flex; flex-wrap: wrap; gap: 0 0.75rem; color: var(--_muted); font-size: 0.875em; }
.state { color: var(--_tone); font-weight: 600; }
.trouble { margin-inline-start: auto; padding-inline-end: 0.4rem; }
.sentence { grid-column: 2 / -1; max-width: 44rem; font-size: 0.875em; color: var(--_muted); }
.row[data-tone=fail] .sentence, .row[data-tone=ask] .sentence, .row[data-tone=wait] .sentence { color: var(--_ink); }
.details { grid-column: 2 / -1; display: grid; gap: 0.9rem; margin-block-start: 0.75rem; padding-inline-end: 0.4rem; }

.cells { display: block; width: 100%; height: 36px; border-radius: 4px; color: var(--_ink); touch-action: pan-y; }
.map { display: grid; gap: 0.35rem; font-size: 0.875em; }
.map-summary { font-weight: 600; }
.map-detail { color: var(--_muted); overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; color: var(--_muted); }
.legend li { display: flex; align-items: center; gap: 0.4rem; }
.swatch { width: 0.75em; height: 0.75em; border-radius: 3px; }
.swatch.empty { background: color-mix(in srgb, var(--_ink) 10%, var(--_surface)); }
.swatch.inFlight { background: var(--_pale); }
.swatch.partly { background: color-mix(in srgb, var(--_accent) 60%, var(--_pale)); }
.swatch.stored { background: var(--_accent); }
.swatch.verified { background: var(--_proven); }
.swatch.resent { background: light-dark(#c27a00, #efb45c); }
.swatch.failed { background: var(--_fail); }
.proof { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0.25rem 1rem; align-items: center; padding: 0.7rem 0.7rem 0.7rem 0.9rem;
  border-radius: 8px; background: var(--_sunken); font-size: 0.875em; }
.proof dl { display: grid; gap: 0.1rem; }
.proof dt { color: var(--_muted); }
.proof code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; user-select: all; }
.proof p { color: var(--_muted); }
.proof p.agreed { color: var(--_proven); }
.proof button { grid-area: 1 / 2 / span 2; }

.dock { position: relative; }
.dock-head { display: flex; width: 100%; align-items: center; justify-content: space-between; gap: 1rem; padding: 0.7rem 1rem;
  border: 0; background: none; font-weight: 600; }
.dock .bar { height: 3px; margin: 0; border-radius: 0; }
.dock .acked { background: var(--_accent); }
.folded .dock-head .icon { rotate: 180deg; }
:host([panel=dock]) { position: fixed; inset-block-end: 1rem; inset-inline-end: 1rem; z-index: 1000; width: min(26rem, calc(100vw - 2rem)); }
:host([panel=dock]) .panel { overflow: hidden; border: 1px solid var(--_line); border-radius: var(--_radius); background: var(--_surface);
  box-shadow: 0 12px 40px rgb(0 0 0 / 0.22); }
:host([panel=dock]) .body { gap: 0.5rem; padding: 0.75rem; max-height: calc(100vh - 6rem); overflow: auto; }
:host([panel=dock]) .list { max-height: min(24rem, 50vh); }
:host([panel=dock]) .drop-button { display: flex; align-items: center; justify-content: center; gap: 0.6rem; min-height: 3rem; padding: 0.5rem; }
:host([panel=dock]) .drop-button .icon { width: 1.25rem; height: 1.25rem; }
:host([panel=dock]) .drop-button .title { font-size: 0.9375rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
:host([panel=dock]) :is(.hint, .folder-button, .summary, .filters) { display: none; }

@container (max-width: 560px) {
  .drop-button, [data-empty=true] .drop-button { min-height: 9.5rem; padding-inline: 1rem; }
  .banner { grid-template-columns: auto minmax(0, 1fr); }
  .choices { grid-column: 1 / -1; margin-block-start: 0.4rem; }
  .choices > * { flex: 1 1 auto; }
  .filters { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; }
  .row { padding-inline: 0.75rem 0.35rem; gap: 0 0.6rem; }
  .buttons { display: contents; }
  .more { grid-area: 1 / 3; justify-self: end; }
  .actions { grid-area: 3 / 3; justify-self: end; align-self: start; }
  .facts { grid-column: 2; align-self: center; }
  .actions button > span, .folder { display: none; }
  .quiet.sure > span { display: inline; }
  .proof { grid-template-columns: minmax(0, 1fr); }
  .proof button { grid-area: auto; justify-self: start; }
  .trouble { margin-inline-start: 0; }
}
@media (pointer: coarse) {
  .quiet, .solid, .outline { min-height: 2.75rem; min-width: 2.75rem; }
  .chip { min-height: 2.5rem; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .bar .acked { background: Highlight; forced-color-adjust: none; }
  .swatch { forced-color-adjust: none; }
}
`
