/** The browser's side of the site: the search. Without it (no scripts) every page reads as well. */
import MiniSearch from 'minisearch'

const shownMax = 12
const excerptLength = 140

const box = document.querySelector('.search')
const input = document.querySelector('#search')
const found = document.querySelector('#found')
const menu = document.querySelector('.menu details')

box.hidden = false
// A narrow screen shows the text first, and the menu when asked.
if (matchMedia('(max-width: 55rem)').matches) menu.open = false

let loading

/** The index comes when somebody wants to search, not with every page. */
function loadSearch() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.src = 'search-index.js'
    script.onload = () => resolve(createSearch(globalThis.searchEntries))
    script.onerror = () => reject(new Error('search-index.js cannot be read'))
    document.head.append(script)
  })
  return loading
}

function createSearch(entries) {
  const search = new MiniSearch({
    fields: ['title', 'page', 'text'],
    // Names such as `os-upgrade.timer` and `BOOT_A_LEFT` are found as a whole and by their parts.
    tokenize: (text) =>
      text.split(/[\s,;:()"'`|<>[\]{}=]+/).flatMap((word) => [word, ...word.split(/[-._/]+/)]),
    searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15, combineWith: 'AND' },
  })
  search.addAll(entries.map((entry, id) => ({ ...entry, id })))
  return (words) => search.search(words).map(({ id, terms }) => ({ ...entries[id], terms }))
}

function excerpt({ text, terms }) {
  const lower = text.toLowerCase()
  const at = Math.max(
    0,
    Math.min(...terms.map((term) => lower.indexOf(term)).filter((place) => place >= 0), 1e9) - 40,
  )
  const from = at >= text.length ? 0 : at
  return `${from > 0 ? '…' : ''}${text.slice(from, from + excerptLength)}${text.length > from + excerptLength ? '…' : ''}`
}

function item(entry) {
  const link = document.createElement('a')
  link.href = entry.href
  const title = document.createElement('strong')
  title.textContent = entry.page === entry.title ? entry.title : `${entry.page}: ${entry.title}`
  const text = document.createElement('span')
  text.textContent = excerpt(entry)
  link.append(title, text)
  const line = document.createElement('li')
  line.append(link)
  return line
}

function say(text) {
  const line = document.createElement('li')
  line.textContent = text
  found.replaceChildren(line)
}

input.addEventListener('focus', () => loadSearch().catch(() => {}), { once: true })
input.addEventListener('input', async () => {
  const words = input.value.trim()
  found.hidden = words === ''
  if (words === '') return
  try {
    const results = (await loadSearch())(words)
    // Somebody typed on meanwhile.
    if (words !== input.value.trim()) return
    if (results.length === 0) say('Nothing found')
    else found.replaceChildren(...results.slice(0, shownMax).map(item))
  } catch (error) {
    say(error.message)
  }
})
input.addEventListener('keydown', ({ key }) => {
  if (key === 'Enter') found.querySelector('a')?.click()
})
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    found.hidden = true
    input.blur()
  }
  if (event.key === '/' && !event.target.matches('input')) {
    event.preventDefault()
    input.focus()
  }
})
document.addEventListener('click', ({ target }) => {
  if (!box.contains(target) || target.closest('.found a')) found.hidden = true
})
