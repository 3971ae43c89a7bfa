/**
 * The page at `/`, in three parts that the browser asks for one by one. Loaded when somebody opens it; nothing comes from
 * anywhere else. What the databases are called and what errors say is put in as text, never as markup.
 */
import { SCRIPT } from './page-script.js'

export { SCRIPT }

export const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>walrust</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
</head>
<body data-status="loading">
<header>
  <div class="mark" aria-hidden="true"><i></i></div>
  <div class="verdict" role="status" aria-live="polite">
    <h1 id="verdict">Looking …</h1>
    <p id="because">Asking walrust how your databases are.</p>
  </div>
  <p class="meta"><b>walrust</b> <span id="version"></span><br><span id="uptime"></span></p>
</header>
<main>
  <section class="tiles" aria-label="At a glance">
    <div class="tile"><span>Oldest commit not durable</span><strong id="tile-unshipped">–</strong></div>
    <div class="tile"><span>Databases</span><strong id="tile-databases">–</strong></div>
    <div class="tile"><span>Waiting on this machine</span><strong id="tile-spool">–</strong></div>
    <div class="tile"><span>In storage</span><strong id="tile-stored">–</strong></div>
  </section>
  <section class="charts" aria-label="The last hour">
    <figure><figcaption>Lag <output id="now-lag"></output></figcaption><svg id="chart-lag" role="img" aria-label="Lag over time"></svg></figure>
    <figure><figcaption>Throughput <output id="now-throughput"></output></figcaption><svg id="chart-throughput" role="img" aria-label="Throughput over time"></svg></figure>
    <figure><figcaption>Spool <output id="now-spool"></output></figcaption><svg id="chart-spool" role="img" aria-label="Spool over time"></svg></figure>
  </section>
  <section aria-label="Databases">
    <div class="bar"><h2 id="count">Databases</h2><input id="filter" type="search" placeholder="Find a database" aria-label="Find a database" hidden></div>
    <div class="head row" aria-hidden="true"><span></span><span>Database</span><span>Not durable for</span><span>TXID</span><span>Size</span><span>WAL</span><span>Last sync</span><span>10 minutes</span></div>
    <div id="rows"></div>
    <p id="empty" hidden>No database is watched.</p>
  </section>
</main>
<noscript>This page needs JavaScript. The same is at <a href="health">/health</a> and <a href="metrics">/metrics</a>.</noscript>
<footer><a href="metrics">/metrics</a> <a href="health">/health</a></footer>
</body>
</html>
`

export const CSS = `
:root {
  --bg: #f6f7f9; --card: #fff; --line: #e3e6eb; --text: #14181f; --soft: #5d6673; --accent: #2563c9;
  --healthy: #11834d; --degraded: #a66300; --unhealthy: #c4262e; --loading: #7b8492; --tint: #e6f4ec; --fill: #2563c91f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0e1116; --card: #161b22; --line: #272e38; --text: #e9edf2; --soft: #97a1af; --accent: #6ea8ff;
    --healthy: #3fc380; --degraded: #e5a33d; --unhealthy: #ff6b6b; --loading: #8a94a3; --tint: #12271d; --fill: #6ea8ff22;
  }
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
body {
  --state: var(--loading);
  background: var(--bg); color: var(--text); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; max-width: 1180px; margin: 0 auto; padding: 24px 20px 40px;
}
body[data-status=healthy], .healthy { --state: var(--healthy); }
body[data-status=degraded], .degraded { --state: var(--degraded); }
body[data-status=unhealthy], body[data-status=gone], .unhealthy { --state: var(--unhealthy); }
header {
  display: flex; gap: 18px; align-items: center; background: var(--card); border: 1px solid var(--line);
  border-left: 6px solid var(--state); border-radius: 14px; padding: 20px 22px;
}
.mark { flex: none; width: 44px; height: 44px; border-radius: 50%; display: grid; place-items: center; background: color-mix(in srgb, var(--state) 16%, transparent); }
.mark i { width: 18px; height: 18px; border-radius: 50%; background: var(--state); }
.verdict { flex: 1; min-width: 0; }
h1 { font-size: 26px; line-height: 1.2; letter-spacing: -.015em; font-weight: 650; }
.verdict p { color: var(--soft); margin-top: 3px; overflow-wrap: anywhere; }
.meta { color: var(--soft); font-size: 13px; text-align: right; white-space: nowrap; }
.meta b { color: var(--text); }
.tiles, .charts { display: grid; gap: 14px; margin-top: 14px; }
.tiles { grid-template-columns: repeat(4, 1fr); }
.charts { grid-template-columns: repeat(3, 1fr); }
.tile, figure { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 16px; min-width: 0; }
.tile span, figcaption { color: var(--soft); font-size: 13px; }
.tile strong { display: block; font-size: 22px; font-weight: 620; letter-spacing: -.01em; margin-top: 2px; overflow-wrap: anywhere; }
figcaption { display: flex; justify-content: space-between; gap: 8px; }
figcaption output { color: var(--text); font-weight: 600; }
figure svg { display: block; width: 100%; height: 96px; margin-top: 8px; overflow: visible; }
svg .area { fill: var(--fill); } svg .stroke { fill: none; stroke: var(--accent); stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.peak { color: var(--soft); font-size: 12px; display: block; margin-top: 6px; }
svg .base { stroke: var(--line); vector-effect: non-scaling-stroke; } svg text { fill: var(--soft); font-size: 10.5px; }
.bar { display: flex; justify-content: space-between; align-items: center; gap: 12px; margin: 26px 0 10px; min-height: 34px; }
h2 { font-size: 16px; font-weight: 620; }
input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 9px; padding: 5px 11px; width: 240px; max-width: 55%; }
input:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.row { display: grid; grid-template-columns: 14px minmax(150px, 2.2fr) 1.1fr 1fr .9fr .9fr 1fr 100px; gap: 12px; align-items: center; }
.head { color: var(--soft); font-size: 12px; padding: 0 16px 6px; }
.head span:nth-child(n+3):nth-child(-n+7), .row .n { text-align: right; }
#rows { background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
#rows:empty { display: none; }
details + details { border-top: 1px solid var(--line); }
summary { list-style: none; cursor: pointer; padding: 11px 16px; } summary::-webkit-details-marker { display: none; }
summary:hover { background: color-mix(in srgb, var(--text) 3%, transparent); }
.dot { width: 10px; height: 10px; border-radius: 50%; background: var(--state); }
.name { font-weight: 600; overflow-wrap: anywhere; } .name small { display: block; font-weight: 400; color: var(--soft); font-size: 12.5px; }
.name small.bad { color: var(--state); }
.row svg { width: 100px; height: 24px; }
.n em { display: none; font-style: normal; color: var(--soft); }
.more { padding: 2px 16px 16px 42px; font-size: 13.5px; color: var(--soft); overflow-wrap: anywhere; }
.more dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; margin-bottom: 10px; } .more dd { color: var(--text); }
.more ul { list-style: none; padding: 0; } .more li { padding: 4px 0; border-top: 1px dashed var(--line); } .more li b { color: var(--text); font-weight: 600; }
.bad { color: var(--state); }
footer { margin-top: 22px; font-size: 13px; } footer a { color: var(--soft); margin-right: 12px; }
#empty { color: var(--soft); }
@media (max-width: 820px) {
  .tiles { grid-template-columns: 1fr 1fr; } .charts { grid-template-columns: 1fr; } .head { display: none; }
  .row { grid-template-columns: 14px 1fr 1fr; gap: 4px 12px; } .row .name { grid-column: 2 / 4; }
  .row .n { text-align: left; } .row .n em { display: inline; font-size: 12.5px; } .row .n:nth-of-type(odd) { grid-column: auto; }
  .row > .n:nth-child(2n+3) { grid-column: 2; } .row > .n:nth-child(2n+4) { grid-column: 3; } .row svg { grid-column: 3; }
  .more { padding-left: 16px; }
}
@media (max-width: 520px) {
  body { padding: 12px 12px 30px; } header { padding: 15px 16px; gap: 13px; flex-wrap: wrap; } h1 { font-size: 21px; }
  .meta { width: 100%; text-align: left; } .meta br { display: none; } .meta #uptime::before { content: "· "; }
  main { display: flex; flex-direction: column; } .charts { order: 1; margin-top: 22px; } .tile strong { font-size: 19px; } figure svg { height: 76px; }
}
@media (prefers-reduced-motion: no-preference) { body[data-status=healthy] .mark i { animation: beat 3s ease-in-out infinite; } @keyframes beat { 50% { transform: scale(.82); } } }
`
