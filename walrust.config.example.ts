/**
 * Every option of walrust with what it does; the values are the defaults unless it says otherwise. Copy what you need:
 * `npx walrust init` writes a short one to start from. docs/options.md has the same as tables, docs/configuration.md the
 * rules. In your project the import reads `from 'walrust'`.
 */
import { defineConfig } from './core/config/define.js'

export default defineConfig({
  // Configurations to start from, left to right: walrust:local, walrust:s3, walrust:tigris, walrust:gcs, the mix-ins
  // walrust:durable and walrust:observed, a path, or a package.
  presets: ['walrust:local', 'walrust:observed'],

  // Paths, folders, patterns; an object for a name or settings of its own: any key marked with * in docs/options.md.
  databases: [
    'data/app.db',
    { path: 'tenants/*/app.db', snapshotInterval: '30m', sync: { interval: '500ms' } },
    { path: 'data/orders.db', name: 'shop/orders' },
  ],

  // Where to: a URL, an object with settings, or a list of either, each with a position of its own.
  storage: {
    url: 's3://bucket/prefix',
    // Of a service that is not AWS; otherwise AWS_ENDPOINT_URL_S3.
    endpoint: 'https://s3.example.com',
    region: 'eu-central-1',
    // Usually left to the environment (AWS_ACCESS_KEY_ID …). A secret is never written here, but named.
    accessKeyId: { env: 'BACKUP_KEY' },
    secretAccessKey: { file: '/run/secrets/backup-key' },
  },

  // Built-in ones as walrust:NAME, others by package or path, with their options.
  plugins: [
    ['walrust:webhook', { url: { env: 'ALERTS_URL' }, secret: { env: 'ALERTS_SECRET' }, events: ['sync_failed'] }],
    ['walrust:heartbeat', { url: { env: 'HEARTBEAT_URL' }, interval: '1m' }],
  ],

  // Time between two files under continuous writes. A commit after a quiet interval is shipped at once.
  sync: { interval: '1s' },

  checkpoint: {
    // Time after which a WAL with anything in it is checkpointed.
    interval: '60s',
    // Pages in the WAL from which on it is checkpointed.
    minPages: 1000,
    // Pages in the WAL that are too many: it is not held any longer.
    truncateThreshold: 121_359,
    // How long the write lock may be held, in the rare case that it is taken.
    maxLock: '50ms',
  },

  // When the whole database is stored. Never where nothing changed.
  snapshot: {
    interval: '1h',
    // After so many transactions.
    maxChanges: 'off',
    // At the latest so long after the first change.
    maxInterval: 'off',
    // After so long without a commit.
    onIdle: 'off',
    onStartup: false,
  },

  // How many of the newest hours, days, weeks and months keep their newest snapshot; false never deletes one.
  retention: { hourly: 24, daily: 7, weekly: 12, monthly: 12 },

  compaction: {
    // Apply retention after each snapshot (off without a preset).
    afterSnapshot: true,
    // Or every so often.
    interval: 'off',
    // The span of one merged file, level by level.
    levels: ['30s', '5m', '1h'],
    // How long shipped files, and those of each level, stay after they have been merged.
    keep: ['1h', '24h', '7d', '30d'],
  },

  // Prove what lies in storage every so often while watching, and restore its newest state for trial; `full` reads the
  // whole history each time.
  validation: { interval: 'off', depth: 'quick' },

  spool: {
    // Instead of the state directory.
    dir: '/var/lib/walrust/spool',
    // What may wait on this machine; beyond it changes are found by comparing later.
    maxSize: '5GiB',
    // How long and how much of it stays after it has been shipped.
    cacheRetention: '24h',
    cacheMaxSize: '1GiB',
  },

  // Uploads at a time, over all databases.
  upload: { concurrency: 4 },

  // How long a silent owner of a backup is waited for before it is taken over.
  lease: { ttl: '20s' },

  resilience: {
    // Attempts after the first before a failure is reported; tries go on after that.
    maxRetries: 5,
    baseDelay: '100ms',
    maxDelay: '30s',
    // Failures in a row after which a storage is left alone, and for how long; false never.
    circuitBreaker: { threshold: 10, cooldown: '60s' },
  },

  // Lag from which on a database counts as unhealthy.
  health: { maxLag: '5m' },

  // Metrics, health and the page; false turns them off.
  metrics: { port: 16_767, host: '127.0.0.1' },

  log: { level: 'info', format: 'json' },

  // portable: every Litestream 0.5 restores it. tracked: for tools that check the native fields of LTX.
  ltx: { checksums: 'portable' },

  // Copy committed frames to the state directory before the WAL is restarted.
  shadowWal: true,

  // Instead of .<file>-walrust/ beside each database.
  stateDir: '/var/lib/walrust',

  // How long to go on shipping at the end.
  shutdownTimeout: '10s',
})
