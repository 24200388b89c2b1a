/** How uploads look: rows, the line above them, the banner, the pieces. Comes with them, on top of `styles.ts`. */
export const STYLES = `
.quiet.sure { color: var(--_fail); border-color: currentColor; }
.solid { color: var(--_on-accent); background: var(--_accent); font-weight: 600; }
.solid:hover { background: color-mix(in srgb, var(--_accent) 88%, var(--_ink)); }
.chip { min-height: 2rem; padding: 0 0.75rem; border-color: var(--_line); border-radius: 999px; color: var(--_muted);
  font-size: 0.875em; }
.chip[aria-pressed=true] { color: var(--_accent); border-color: currentColor;
  background: color-mix(in srgb, var(--_accent) 9%, transparent); }

.banner { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 0.25rem 0.85rem; align-items: center; padding: 1rem 1.1rem;
  border: 1px solid color-mix(in srgb, var(--_accent) 45%, var(--_line)); border-radius: var(--_radius);
  background: color-mix(in srgb, var(--_accent) 7%, var(--_surface)); }
.banner > .icon { width: 1.5rem; height: 1.5rem; color: var(--_accent); }
.banner h2 { font-size: 1rem; font-weight: 650; }
.banner p { color: var(--_muted); overflow-wrap: anywhere; }
.choices { display: flex; flex-wrap: wrap; gap: 0.4rem; }

.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; min-height: 2.25rem; }
.summary { font-weight: 600; flex: 1 1 auto; }
.all, .filters { display: flex; flex-wrap: wrap; gap: 0.35rem; }
.filters { flex-basis: 100%; }

.list { max-height: var(--onward-list-height, max(32rem, 70vh)); overflow: auto; border: 1px solid var(--_line);
  border-radius: var(--_radius); background: var(--_surface); scrollbar-width: thin; }
[data-empty=true] .list { display: none; }
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
.bar.open .flight { animation: open 1.4s ease-in-out infinite alternate; }
@keyframes open { from { opacity: 0.3; } }
@media (prefers-reduced-motion: reduce) { .bar .flight { animation: none; } }
.bar .acked { background: var(--_tone); }
.row[data-tone=calm] .acked, .row[data-tone=wait] .acked, .row[data-tone=ask] .acked { background: color-mix(in srgb, var(--_accent) 55%, var(--_muted)); }
.row[data-state=verifying] .acked, .row[data-state=assembling] .acked { background: var(--_proven); }
.row:is([data-state=verifying], [data-state=assembling], [data-state=checking]) .bar { background: var(--_accent); }
.row:is([data-state=verifying], [data-state=assembling], [data-state=checking]) .flight { display: none; }
.facts { grid-column: 2 / -1; display: flex; flex-wrap: wrap; gap: 0 0.75rem; color: var(--_muted); font-size: 0.875em; }
.state { color: var(--_tone); font-weight: 600; }
.trouble { margin-inline-start: auto; padding-inline-end: 0.4rem; }
.sentence { grid-column: 2 / -1; max-width: 44rem; min-height: 1.45em; font-size: 0.875em; color: var(--_muted); }
.row[data-tone=fail] .sentence, .row[data-tone=ask] .sentence, .row[data-tone=wait] .sentence { color: var(--_ink); }
.details { grid-column: 2 / -1; margin-block-start: 0.4rem; padding-inline-end: 0.4rem; }
.details:empty { min-height: 20rem; }

.dock { position: relative; }
.dock-head { display: flex; width: 100%; align-items: center; justify-content: space-between; gap: 1rem; padding: 0.7rem 1rem;
  border: 0; background: none; font-weight: 600; text-align: start; }
.dock .bar { height: 3px; margin: 0; border-radius: 0; }
.dock .acked { background: var(--_accent); }
.folded .dock-head .icon { rotate: 180deg; }
:host([panel=dock]) .list { max-height: min(24rem, 50vh); }

@container (max-width: 560px) {
  .banner { grid-template-columns: auto minmax(0, 1fr); }
  .choices { grid-column: 1 / -1; margin-block-start: 0.4rem; }
  .choices > * { flex: 1 1 auto; }
  .filters { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; }
  .row { padding-inline: 0.75rem 0.35rem; gap: 0 0.6rem; }
  .buttons { display: contents; }
  .row { position: relative; }
  .name { grid-column: 2 / -1; min-height: 2.25rem; align-items: center; padding-inline-end: 2.75rem; }
  .more { position: absolute; inset-block-start: 0.55rem; inset-inline-end: 0.35rem; }
  .row:has(.sure) .facts { display: none; }
  .row:has(.sure) .actions { grid-area: 3 / 2 / auto / -1; }
  .actions { grid-area: 3 / 3; justify-self: end; align-self: start; }
  .facts { grid-column: 2; align-self: center; }
  .actions button > span, .folder { display: none; }
  .quiet.sure > span { display: inline; }
  .trouble { margin-inline-start: 0; }
}
@media (pointer: coarse) { .chip { min-height: 2.5rem; } }
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .bar .acked { background: Highlight; forced-color-adjust: none; }
  .chip[aria-pressed=true] { forced-color-adjust: none; color: SelectedItemText; background: SelectedItem; }
}
`
