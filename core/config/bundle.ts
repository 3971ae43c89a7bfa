import { build as bundled, type Message, type OnResolveResult, type Plugin, type PluginBuild } from 'esbuild'
import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import { dirname, extname, isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Makes one module of the user's own files: TypeScript is taken away, relative imports are put in, packages stay where
 * they are and are named by their full URL, so that the result can be imported from anywhere. `walrust` means this
 * installation, wherever the file lies: a configuration works under `npx` and with a global installation.
 *
 * @param specifier a path, or the name of a package
 * @param folder where it is resolved from
 */
export async function bundle(specifier: string, folder: string): Promise<string> {
  try {
    const { outputFiles } = await bundled({
      stdin: {
        contents: `import * as module from ${JSON.stringify(specifier)}\nexport { module as default }\n`,
        resolveDir: folder,
        sourcefile: '<walrust>',
        loader: 'js',
      },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: `node${process.versions.node}`,
      // Not the `module` condition that bundlers know and Node does not.
      conditions: ['node-addons'],
      absWorkingDir: folder,
      logLevel: 'silent',
      banner: { js: requireFor(folder) },
      plugins: [ownFiles, packages],
    })
    return outputFiles[0].text
  } catch (error) {
    throw new Error(describe((error as { errors?: Message[] }).errors, error), { cause: error })
  }
}

/** CommonJS files among the bundled ones need a `require` to reach packages. */
function requireFor(folder: string): string {
  const url = JSON.stringify(pathToFileURL(join(folder, 'walrust')).href)
  return `import { createRequire as walrustRequire } from 'node:module'; const require = walrustRequire(${url});`
}

/** Files that were put into one module still know their own place. */
const ownFiles: Plugin = {
  name: 'own-files',
  setup(build: PluginBuild) {
    build.onLoad({ filter: /\.[mc]?[jt]sx?$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      const extension = extname(path)
      const loader = extension.includes('t') ? 'ts' : 'js'
      const known: Record<string, string> = {
        __filename: path,
        __dirname: dirname(path),
        __walrustUrl: pathToFileURL(path).href,
      }
      const named = text
        .replaceAll(/\bimport\.meta\.url\b/g, '__walrustUrl')
        .replaceAll(/\bimport\.meta\.dirname\b/g, '__dirname')
        .replaceAll(/\bimport\.meta\.filename\b/g, '__filename')
      // On the first line, so that the lines of messages are those of the file.
      const constants = Object.entries(known)
        .filter(([name]) => named.includes(name))
        .map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`)
      return { contents: constants.join(' ') + named, loader, resolveDir: dirname(path) }
    })
  },
}

const RESOLVED = Symbol('resolved')

const packages: Plugin = {
  name: 'packages',
  setup(build: PluginBuild) {
    build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
      if (pluginData === RESOLVED || path.startsWith('node:') || isAbsolute(path)) return undefined
      const required = kind === 'require-call'
      const external = (file: string): OnResolveResult => ({
        path: required ? file : pathToFileURL(file).href,
        external: true,
      })
      if (path === 'walrust' || path.startsWith('walrust/')) {
        return required
          ? external(createRequire(import.meta.url).resolve(path))
          : { path: import.meta.resolve(path), external: true }
      }
      const found = await build.resolve(path, { kind, resolveDir, importer, pluginData: RESOLVED })
      if (found.errors.length > 0) return { errors: found.errors }
      // Builtins without `node:` are resolved to themselves, an alias of a tsconfig to a file of the user's own.
      if (found.external || !found.path.includes('node_modules')) return found.external ? found : { path: found.path }
      return external(found.path)
    })
  },
}

function describe(errors: readonly Message[] | undefined, error: unknown): string {
  if (!errors || errors.length === 0) return error instanceof Error ? error.message : String(error)
  return errors
    .map(({ text, location }) =>
      location && location.file !== '<walrust>'
        ? `${location.file}:${location.line}:${location.column + 1}: ${text}`
        : text,
    )
    .join('\n')
}
