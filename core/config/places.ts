/** Where a configuration is looked for in a folder, the first that is there is taken. */
export const SEARCH_PLACES: readonly string[] = [
  ...['ts', 'mts', 'js', 'mjs', 'cjs', 'json', 'yaml', 'yml'].map((extension) => `walrust.config.${extension}`),
  '.walrustrc',
  ...['json', 'yaml', 'yml', 'ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `.walrustrc.${extension}`),
  'package.json',
]
