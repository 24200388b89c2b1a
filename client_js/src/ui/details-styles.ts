/** How the inside of a row looks. Comes with it, on top of `uploads-styles.ts`. */
export const STYLES = `
.inside { --_lane-1: var(--onward-lane-1, light-dark(#8457c9, #b794f0));
  --_lane-2: var(--onward-lane-2, light-dark(#0e86ac, #4fbde0));
  --_lane-3: var(--onward-lane-3, light-dark(#c2488a, #ee86ba));
  --_lane-4: var(--onward-lane-4, light-dark(#66758c, #a3b1c6));
  --_lane-5: var(--onward-lane-5, light-dark(#5a5fd6, #949aff));
  --_lane-6: var(--onward-lane-6, light-dark(#976040, #d19c7a));
  display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.1rem; }
.cells { display: block; width: 100%; height: 36px; border-radius: 4px; color: var(--_ink); touch-action: pan-y; }
.map { display: grid; gap: 0.35rem; font-size: 0.875em; }
.map-head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.1rem 1rem; margin-block-end: 0.1rem; }
.map-head b { font-weight: 600; }
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

.lane-1 { background: var(--_lane-1); }
.lane-2 { background: var(--_lane-2); }
.lane-3 { background: var(--_lane-3); }
.lane-4 { background: var(--_lane-4); }
.lane-5 { background: var(--_lane-5); }
.lane-6 { background: var(--_lane-6); }
.swatch.muted { background: var(--_muted); }
.swatch.line { background: var(--_line); }
.swatch.stopped, .swatch.bar-stopped { background: var(--_muted); }
.legend .swatch.inFlight, .swatch.bar-stored { background: linear-gradient(90deg, var(--_lane-1) 34%,
  var(--_lane-2) 34% 67%, var(--_lane-3) 67%); }
.swatch.bar-flying { background: color-mix(in srgb, var(--_lane-2) 35%, transparent);
  outline: 1px solid var(--_lane-2); outline-offset: -1px; }
.swatch.bar-stopped { background: color-mix(in srgb, var(--_muted) 35%, transparent); outline: 1px solid var(--_muted); outline-offset: -1px; }
.swatch.bar-failed { background: var(--_fail); }
.tracks { display: block; width: 100%; height: 108px; border-radius: 4px; color: var(--_ink); touch-action: pan-y; }
.axis { display: flex; justify-content: space-between; gap: 1rem; color: var(--_muted); }
.axis > :first-child { margin-inline-start: 16px; }
.axis > * { flex: 1 1 auto; white-space: nowrap; }
.axis > :nth-child(2) { text-align: center; }
.axis > :last-child { text-align: end; }
.repeat { display: flex; flex-wrap: wrap; align-items: start; justify-content: space-between; gap: 0.5rem 1rem; font-size: 0.875em; }
.repeat details { flex: 1 1 20rem; min-width: 0; }
.repeat summary { display: inline-flex; align-items: center; min-height: 2.25rem; padding-inline: 0.6rem; margin-inline-start: -0.6rem;
  border-radius: 8px; color: var(--_muted); cursor: pointer; }
.repeat summary::before { content: ''; width: 0.45em; height: 0.45em; margin-inline: 0.1em 0.6em; border: solid currentColor;
  border-width: 0 1.75px 1.75px 0; rotate: -45deg; transition: rotate 160ms; }
.repeat [open] summary::before { rotate: 45deg; }
.repeat summary:hover { color: var(--_ink); background: color-mix(in srgb, var(--_ink) 7%, transparent); }
.snippet { padding: 0.35rem 0.35rem 0.75rem 0.9rem; border-radius: 8px; background: var(--_sunken); margin-block-start: 0.5rem; }
.snippet-head { display: flex; align-items: center; justify-content: space-between; }
.snippet pre { margin: 0; padding-inline-end: 0.55rem; }
.snippet code { display: block; font: 0.9286em / 1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.delete { display: flex; flex-wrap: wrap; align-items: center; color: var(--_fail); }
.delete .quiet { padding-inline: 0.6rem; }

@container (max-width: 560px) {
  .map-summary, .map-detail { min-height: 2.9em; }
  .proof { grid-template-columns: minmax(0, 1fr); }
  .proof button { grid-area: auto; justify-self: start; }
}
@media (forced-colors: active) {
  .swatch { forced-color-adjust: none; }
}
`
