import { createRequire } from 'node:module'

const { version } = createRequire(import.meta.url)('walrust/package.json') as { version: string }

/** Version of this walrust. */
export const VERSION: string = version
