#!/usr/bin/env bash
# The path of a new user with the package as it would be published: packed, installed in an empty project, and used from
# there without anything else of this repository. Needs the registry that npm is configured for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
watch=
cleanup() {
  [ -z "$watch" ] || kill -KILL "$watch" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

# With BUILT set, dist is taken as it is: somebody else may be reading it.
[ -n "${BUILT:-}" ] || npm run --silent build
npm pack --silent --ignore-scripts --pack-destination "$scratch" >/dev/null
for example in examples/plugin-*; do npm pack --silent --pack-destination "$scratch" "./$example" >/dev/null; done
mkdir "$scratch/project"
cd "$scratch/project"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent "$scratch"/walrust-[0-9]*.tgz
[ "$(npx walrust --version)" = "$(node -p 'require("walrust/package.json").version')" ]

cat >database.mjs <<'JS'
// Stands in for the application: `node database.mjs FILE [create|insert|count]`.
import Database from 'better-sqlite3'
const [, , file, action] = process.argv
const db = new Database(file)
if (action === 'create') {
  db.pragma('journal_mode = WAL')
  db.exec('CREATE TABLE orders(id INTEGER PRIMARY KEY, body TEXT)')
}
if (action === 'insert') db.exec("INSERT INTO orders(body) VALUES ('an order')")
if (action === 'count') console.log(db.prepare('SELECT count(*) FROM orders').pluck().get(), db.pragma('integrity_check', { simple: true }))
db.close()
JS
node database.mjs app.db create
node database.mjs app.db insert

npx walrust init --preset local
# Not through npx: the signal is for walrust itself.
node_modules/.bin/walrust watch app.db 2>watch.log &
watch=$!
for _ in $(seq 300); do
  grep -q watching watch.log && break
  kill -0 "$watch" || { cat watch.log; exit 1; }
  sleep 0.1
done
node database.mjs app.db insert
kill -TERM "$watch"
wait "$watch" || { cat watch.log; exit 1; }
watch=
npx walrust list
npx walrust verify app
npx walrust restore app -o restored.db
[ "$(node database.mjs restored.db count)" = '2 ok' ]

# The example plugins, packed and installed beside it, from a configuration.
npm install --no-audit --no-fund --silent "$scratch"/walrust-plugin-*.tgz
mkdir plugins
cp app.db plugins/app.db
cat >plugins/walrust.config.ts <<TS
import { defineConfig } from 'walrust'
export default defineConfig({
  databases: ['app.db'],
  storage: 'flat:$scratch/flat',
  plugins: [
    'walrust-plugin-storage-flat',
    ['walrust-plugin-notifier-exec', { command: ['/bin/sh', '-c', 'cat >> $scratch/events'] }],
  ],
})
TS
(cd plugins && npx walrust watch --once && npx walrust verify app && npx walrust restore app -o restored.db)
[ "$(node database.mjs plugins/restored.db count)" = '2 ok' ]
grep -q snapshot_completed "$scratch/events"

# Installed for all, with the configuration that `init` wrote, in a project that has no walrust of its own.
npm install --no-audit --no-fund --silent --global --prefix "$scratch/global" "$scratch"/walrust-[0-9]*.tgz
mkdir "$scratch/other"
cp app.db "$scratch/other/app.db"
cd "$scratch/other"
"$scratch/global/bin/walrust" init --preset local >/dev/null
"$scratch/global/bin/walrust" watch app.db --once
"$scratch/global/bin/walrust" restore app -o restored.db
cd "$scratch/project"
[ "$(node database.mjs "$scratch/other/restored.db" count)" = '2 ok' ]

# The library.
node --input-type=module -e "import { createWalrust } from 'walrust'; if (typeof createWalrust !== 'function') process.exit(1)"
echo 'the packed package installs, ships and restores'
