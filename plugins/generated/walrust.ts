// Made by scripts/generate.mjs from schemas/; `npm run generate` makes it anew.
/** The public surface, with what editors should know of the built-in plugins. Only its types are used. */
export type { Outputs } from '../../cli/generated/outputs.js'
export * from '../../core/index.js'
import './options.js'
