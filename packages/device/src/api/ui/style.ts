/** Of every page. System fonts and colours; a phone, a wide screen, and a screen in the dark get the same page. */
export const style = `:root{color-scheme:light dark;--ok:#176b2c;--bad:#b3261e;--link:#0b57d0;--edge:#80868f;--soft:#eef0f3}
@media(prefers-color-scheme:dark){:root{--ok:#7bd88f;--bad:#ff9b92;--link:#8ab4f8;--edge:#868c95;--soft:#262a30}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem 1rem 3rem;max-width:46rem}
header{font-weight:700;letter-spacing:.02em;padding-bottom:.75rem;border-bottom:1px solid var(--edge)}
h1{font-size:1.5rem;line-height:1.25;margin:1.25rem 0 .75rem}h2{font-size:1.1rem;margin:1.75rem 0 .5rem}
label{font-weight:600;display:block;margin:1.25rem 0 .25rem}
textarea,input{width:100%;font:inherit;padding:.6rem;border:1px solid var(--edge);border-radius:.3rem;background:Canvas;color:CanvasText}
input{min-height:2.75rem}
input[type=file]{padding:.35rem}
::file-selector-button{font:inherit;min-height:2.75rem;padding:.4rem 1rem;margin-right:.75rem;border:1px solid var(--edge);border-radius:.2rem;background:var(--soft);color:CanvasText}
textarea{font:1rem/1.4 ui-monospace,monospace;white-space:pre;overflow:auto;resize:vertical}
button,.act{display:inline-block;font:inherit;font-weight:600;padding:.6rem 1.4rem;min-height:2.75rem;border:1px solid CanvasText;border-radius:.3rem;cursor:pointer}
button{margin-top:1.25rem;background:CanvasText;color:Canvas}
button[disabled]{opacity:.7;cursor:default}
a{color:var(--link)}
.act{text-decoration:none;border-color:var(--edge)}
.links{list-style:none;padding:0}.links a,[data-line]{display:inline-block;padding:.65rem 0}
summary{cursor:pointer;padding:.65rem 0;color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.hint{opacity:.85;margin:.25rem 0}
.bad{color:var(--bad)}.ok{color:var(--ok)}
.box{border:2px solid currentColor;border-radius:.3rem;padding:.2rem 1rem;margin:1rem 0}
.box h2{margin-top:.75rem}
.box li,.box p,.box pre{color:CanvasText}
.box>p::first-letter{text-transform:uppercase}
.box ol{padding-left:1.4rem}
.box li{margin:.25rem 0 1.25rem}
pre{overflow-x:auto;background:var(--soft);padding:.5rem;margin:.25rem 0;border-radius:.3rem;font:.9rem/1.35 ui-monospace,monospace}
#said{position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)}
#said.seen{position:static;width:auto;height:auto;clip-path:none;margin:1rem 0;padding:.75rem 1rem;border:2px solid var(--link);border-radius:.3rem}
ol.steps{list-style:none;padding:0;margin:0}
ol.steps li{display:grid;grid-template-columns:6rem 1fr;gap:.25rem .75rem;padding:.4rem 0;border-top:1px solid var(--edge)}
ol.steps p{margin:0;grid-column:2;overflow-wrap:anywhere}
ol.steps .waiting{opacity:.75}
.state{font-weight:600}
.running .state{color:var(--link)}
code{font-family:ui-monospace,monospace;font-size:.95em;overflow-wrap:anywhere}
@media(prefers-reduced-motion:no-preference){.running .state{animation:wait 1.5s infinite alternate}@keyframes wait{to{opacity:.6}}}`
