/**
 * What pages get with JavaScript: the form says that it is sending, a problem leads to its line, and the page of a job shows how it goes on without being
 * loaded anew. The server makes the same page for both, so there is one text only.
 */
export const script = `(()=>{'use strict'
const said=document.getElementById('said')
const form=document.querySelector('form')
if(form)form.addEventListener('submit',()=>{const button=form.querySelector('button');button.disabled=true;button.textContent='Sending\\u2026';said.textContent='Sending the configuration'})
document.addEventListener('click',event=>{const link=event.target.closest('[data-line]')
if(!link)return
event.preventDefault()
const text=document.getElementById('text'),lines=text.value.split('\\n'),line=Math.min(link.dataset.line,lines.length)
const start=lines.slice(0,line-1).join('\\n').length+(line>1?1:0)
text.focus()
text.setSelectionRange(start,start+lines[line-1].length)
text.scrollTop=(line-4)*parseFloat(getComputedStyle(text).lineHeight)
text.scrollLeft=0})
window.addEventListener('pageshow',event=>{if(event.persisted)location.reload()})
let silent=0
const look=async()=>{const old=document.querySelector('main[data-live]')
if(!old)return
try{const answer=await fetch(location.pathname,{cache:'no-store',signal:AbortSignal.timeout(8000)})
const page=new DOMParser().parseFromString(await answer.text(),'text/html')
const main=page.querySelector('main')
if(!answer.ok||!main)throw new Error
silent=0
if(main.innerHTML!==old.innerHTML){const id=old.contains(document.activeElement)&&document.activeElement.id
old.replaceWith(main);document.title=page.title
if(id)document.getElementById(id)?.focus()}
const now=main.dataset.said||''
if(said.textContent!==now)said.textContent=now
said.className=''
}catch{silent+=1
if(silent>2)said.className='seen',said.textContent='No answer from this address. '+(old.dataset.silent||'')}
setTimeout(look,silent?2000:1000)}
setTimeout(look,500)})()`
