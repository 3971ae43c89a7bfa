// Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.
/* eslint-disable @typescript-eslint/no-empty-object-type */

declare module '../../core/config/entries.js' {
  /** What an editor offers as options of the built-in plugins. */
  interface PluginOptions {}
}
