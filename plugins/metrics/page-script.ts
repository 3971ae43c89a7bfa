/** What runs in the browser. It reads `status.json`, every two seconds while somebody looks. */
export const SCRIPT = String.raw`'use strict'
const $ = (id) => document.getElementById(id)
const SVG = 'http://www.w3.org/2000/svg'
const open = new Set()
let report, answered = 0

function el(name, className, text) {
  const made = document.createElement(name)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}
function svgEl(name, attributes, text) {
  const made = document.createElementNS(SVG, name)
  for (const key in attributes) made.setAttribute(key, attributes[key])
  if (text !== undefined) made.textContent = text
  return made
}
function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (value >= 1024 && unit < 4) { value /= 1024; unit++ }
  return (unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)) + ' ' + units[unit]
}
function span(seconds) {
  if (seconds < 0.001) return '0 s'
  if (seconds < 1) return Math.round(seconds * 1000) + ' ms'
  if (seconds < 60) return (seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)) + ' s'
  if (seconds < 3600) return Math.floor(seconds / 60) + ' min ' + Math.round(seconds % 60) + ' s'
  if (seconds < 86400) return Math.floor(seconds / 3600) + ' h ' + Math.floor(seconds % 3600 / 60) + ' min'
  return Math.floor(seconds / 86400) + ' d ' + Math.floor(seconds % 86400 / 3600) + ' h'
}
const ago = (time) => time === undefined ? 'never' : span(Math.max(0, Math.round((report.now - time) / 1000))) + ' ago'
const plural = (count, one) => count + ' ' + one + (count === 1 ? '' : 's')

function draw(svg, values, format, small) {
  const width = 300, height = small ? 24 : 96, top = small ? 2 : 14
  svg.replaceChildren()
  svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height)
  svg.setAttribute('preserveAspectRatio', 'none')
  const most = Math.max(...values, 0)
  const y = (value) => height - 1 - (most > 0 ? value / most : 0) * (height - top - 1)
  svg.append(svgEl('line', { class: 'base', x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }))
  if (values.length > 1) {
    const x = (i) => i * width / (values.length - 1)
    const points = values.map((value, i) => x(i).toFixed(1) + ',' + y(value).toFixed(1)).join(' ')
    svg.append(svgEl('polygon', { class: 'area', points: '0,' + height + ' ' + points + ' ' + width + ',' + height }))
    svg.append(svgEl('polyline', { class: 'stroke', points }))
  }
  if (!small && svg.nextSibling === null) svg.after(el('small', 'peak'))
  if (!small) svg.nextSibling.textContent = values.length === 0 ? 'the first figures come in a few seconds' : most > 0 ? 'peak ' + format(most) + ' in the last ' + span(Math.max(values.length, 1) * report.sampleSeconds) : 'nothing in the last ' + span(Math.max(values.length, 1) * report.sampleSeconds)
}

function verdict() {
  const bad = report.databases.filter((database) => database.status === 'unhealthy')
  const shaky = report.databases.filter((database) => database.status === 'degraded')
  const name = (list) => list.slice(0, 3).map((database) => database.name).join(', ') + (list.length > 3 ? ' and ' + (list.length - 3) + ' more' : '')
  if (bad.length > 0) return ['Your data is not safe right now', name(bad) + ': ' + why(bad[0])]
  const replicas = report.replicas || []
  const late = replicas.find((replica) => replica.status !== 'healthy')
  if (late) return [late.name + ' does not get on', late.error || 'The last look at storage failed.']
  if (report.databases.length === 0 && replicas.length > 0) return ['The replica is current', replicas.map((replica) => replica.name + ' is at TXID ' + replica.txid + (replica.lagSeconds === undefined ? '' : ', ' + span(replica.lagSeconds) + ' behind its source')).join('; ')]
  if (report.databases.length === 0) return ['Nothing is watched', 'There is no database here to keep safe.']
  if (shaky.length > 0) return ['Safe so far, but something is wrong', name(shaky) + ': ' + why(shaky[0])]
  const oldest = Math.max(...report.databases.map((database) => database.unshippedSeconds))
  if (oldest > 0) return ['Your data is safe', 'Every commit older than ' + span(oldest) + ' is durable in storage.']
  return ['Your data is safe', 'Every commit of ' + (report.databases.length === 1 ? report.databases[0].name : 'all ' + report.databases.length + ' databases') + ' is durable in storage.']
}
function why(database) {
  if (database.damagedPages > 0) return plural(database.damagedPages, 'page') + ' of its file are damaged; its backup is not'
  const storage = database.storages.find((one) => one.error !== undefined)
  if (database.error !== undefined) return database.error
  if (storage) return storage.error
  if (database.validation && database.validation.error !== undefined) return database.validation.error
  return 'commits have been waiting for ' + span(database.unshippedSeconds)
}

const newest = (database) => Math.max(0, ...database.storages.map((storage) => storage.txid))
const confirmed = (database) => database.storages.length === 0 ? 0 : Math.min(...database.storages.map((storage) => storage.confirmed))
function lastSync(database) {
  const times = database.storages.map((storage) => storage.lastSync).filter((time) => time !== undefined)
  return times.length === 0 ? undefined : Math.min(...times)
}

function figure(label, text, title) {
  const made = el('span', 'n')
  if (label) made.append(el('em', '', label + ' '))
  made.append(text)
  if (title) made.title = title
  return made
}

function rowOf(database) {
  const row = el('details', database.status)
  row.dataset.name = database.name
  row.open = open.has(database.name)
  row.addEventListener('toggle', () => { if (row.open) open.add(database.name); else open.delete(database.name) })
  const summary = el('summary')
  const line = el('div', 'row')
  const dot = el('span', 'dot')
  dot.title = database.status
  dot.setAttribute('role', 'img')
  dot.setAttribute('aria-label', database.status)
  const name = el('span', 'name', database.name)
  const trouble = database.status !== 'healthy'
  const say = trouble ? why(database) : database.storages.some((one) => one.state === 'comparing') ? 'reading the whole database' : ''
  if (say) name.append(el('small', trouble ? 'bad' : '', say))
  const txid = newest(database), known = confirmed(database)
  const spark = svgEl('svg', { 'aria-hidden': 'true' })
  draw(spark, database.throughput, bytes, true)
  line.append(dot, name, database.unshippedSeconds > 0 ? figure('not durable', span(database.unshippedSeconds)) : figure('', database.storages.length > 0 ? 'all durable' : '–'),
    figure('TXID', known === txid ? String(txid) : known + ' of ' + txid), figure('size', bytes(database.databaseBytes)),
    figure('WAL', bytes(database.walBytes)), figure('synced', ago(lastSync(database))), spark)
  summary.append(line)
  row.append(summary, moreOf(database))
  return row
}

function moreOf(database) {
  const more = el('div', 'more')
  const list = el('dl')
  const say = (term, text, bad) => list.append(el('dt', '', term), el('dd', bad ? 'bad' : '', text))
  say('File', database.path)
  say('State', database.state + ', since ' + ago(database.since))
  if (database.validation) say('Validated', ago(database.validation.last) + (database.validation.error === undefined ? ': sound' : ': ' + database.validation.error), database.validation.error !== undefined)
  for (const storage of database.storages) {
    say('Storage', storage.url + ' – ' + storage.state)
    say('There', plural(storage.storedFiles, 'file') + ', ' + bytes(storage.storedBytes) + '; confirmed TXID ' + storage.confirmed + ' of ' + storage.txid)
    say('Waiting here', bytes(storage.waitingBytes))
    if (storage.lag !== undefined) say('Last file took', span(storage.lag / 1000))
    if (storage.nextSnapshot !== undefined) say('Next snapshot', storage.nextSnapshot <= report.now ? 'at the next change' : 'in ' + span((storage.nextSnapshot - report.now) / 1000))
    if (storage.error !== undefined) say('Error', storage.error + (storage.failingSince === undefined ? '' : ', since ' + ago(storage.failingSince)), true)
  }
  more.append(list)
  const events = el('ul')
  for (const event of database.events) {
    const item = el('li')
    item.append(el('b', '', event.event), ' ', ago(event.time), event.error === undefined ? '' : ': ' + event.error)
    events.append(item)
  }
  if (database.events.length > 0) more.append(events)
  return more
}

const ORDER = { unhealthy: 0, degraded: 1, healthy: 2 }
function render() {
  const [head, because] = verdict()
  document.body.dataset.status = report.status
  document.title = (report.status === 'healthy' ? '✓ ' : '! ') + 'walrust'
  $('verdict').textContent = head
  $('because').textContent = because
  $('version').textContent = report.version
  $('uptime').textContent = 'up ' + span(report.uptimeSeconds)
  const all = report.databases.flatMap((database) => database.storages)
  const sum = (values) => values.reduce((total, value) => total + value, 0)
  const oldest = Math.max(0, ...report.databases.map((database) => database.unshippedSeconds))
  $('tile-unshipped').textContent = oldest > 0 ? span(oldest) : 'none'
  $('tile-databases').textContent = String(report.databases.length)
  $('tile-spool').textContent = bytes(sum(all.map((storage) => storage.waitingBytes)))
  $('tile-stored').textContent = bytes(sum(all.map((storage) => storage.storedBytes)))
  const rate = (value) => bytes(value) + '/s'
  for (const [id, format] of [['lag', span], ['throughput', rate], ['spool', bytes]]) {
    const values = report.lines[id]
    draw($('chart-' + id), values, format, false)
    $('now-' + id).textContent = values.length > 0 ? format(values[values.length - 1]) : ''
  }
  const wanted = $('filter').value.trim().toLowerCase()
  const shown = report.databases.filter((database) => database.name.toLowerCase().includes(wanted))
  shown.sort((a, b) => ORDER[a.status] - ORDER[b.status] || b.unshippedSeconds - a.unshippedSeconds || (a.name < b.name ? -1 : 1))
  $('filter').hidden = report.databases.length < 9
  $('count').textContent = shown.length === report.databases.length ? plural(shown.length, 'database') : shown.length + ' of ' + plural(report.databases.length, 'database')
  $('empty').hidden = report.databases.length > 0 || report.replicas !== undefined
  const focused = document.activeElement && document.activeElement.closest && document.activeElement.closest('details')
  const keep = focused && focused.dataset.name
  $('rows').replaceChildren(...shown.map(rowOf))
  if (keep) for (const row of $('rows').children) if (row.dataset.name === keep) row.firstChild.focus()
}

async function look() {
  try {
    const answer = await fetch('status.json', { cache: 'no-store' })
    if (!answer.ok) throw new Error('it answered ' + answer.status)
    report = await answer.json()
    answered = Date.now()
    render()
  } catch (error) {
    document.body.dataset.status = 'gone'
    document.title = '! walrust'
    $('verdict').textContent = 'walrust does not answer'
    $('because').textContent = answered ? 'Nobody is looking after your databases, or it cannot be reached. Last heard ' + span(Math.round((Date.now() - answered) / 1000)) + ' ago.' : 'It cannot be reached.'
  }
}
$('filter').addEventListener('input', () => report && render())
document.addEventListener('visibilitychange', () => { if (!document.hidden) look() })
setInterval(() => { if (!document.hidden) look() }, 2000)
look()
`
