/** Of every page. System fonts and colours; a phone, a wide screen, and a screen in the dark get the same page. */
export const style = `:root{color-scheme:light dark;--ok:#176b2c;--bad:#b3261e;--edge:#8a8f98;--soft:#eef0f3}
@media(prefers-color-scheme:dark){:root{--ok:#7bd88f;--bad:#ff9b92;--edge:#7d838c;--soft:#262a30}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:46rem}
h1{font-size:1.4rem;line-height:1.25}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
label,legend{font-weight:600;display:block;margin:1rem 0 .25rem;padding:0}
fieldset{border:0;margin:0;padding:0}
textarea,input{width:100%;font:inherit;padding:.6rem;border:1px solid var(--edge);border-radius:.3rem;background:Canvas;color:CanvasText}
textarea{font-family:ui-monospace,monospace;font-size:1rem;min-height:14rem;white-space:pre;overflow:auto}
button{font:inherit;font-weight:600;margin-top:1rem;padding:.7rem 1.4rem;min-height:2.75rem;border:1px solid CanvasText;border-radius:.3rem;background:CanvasText;color:Canvas;cursor:pointer}
button[disabled]{opacity:.6;cursor:default}
:focus-visible{outline:3px solid Highlight;outline-offset:2px}
.hint{color:inherit;opacity:.85;margin:.25rem 0}
.bad{color:var(--bad)}.ok{color:var(--ok)}
.box{border:2px solid currentColor;border-radius:.3rem;padding:.2rem 1rem;margin:1rem 0}
.box li,.box p,.box pre{color:CanvasText}
pre{overflow-x:auto;background:var(--soft);padding:.5rem;border-radius:.3rem;font:.9rem/1.35 ui-monospace,monospace}
ol.steps{list-style:none;padding:0;margin:0}
ol.steps li{display:grid;grid-template-columns:7.5rem 1fr;gap:.25rem .75rem;padding:.35rem 0;border-top:1px solid var(--edge)}
ol.steps p{margin:0;grid-column:2;overflow-wrap:anywhere}
.state{font-weight:600}
code{overflow-wrap:anywhere}
@media(prefers-reduced-motion:no-preference){.running .state{animation:wait 1.5s infinite alternate}@keyframes wait{to{opacity:.45}}}`
