import { defineConfig } from '../core/config/define.js'

/** Metrics, health and the page in the browser, and every event in the log. */
export default defineConfig({
  metrics: {},
  plugins: ['walrust:log-events'],
})
