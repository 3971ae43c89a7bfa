// Compiles core/kernel/kernel.wat and writes it as a TypeScript module, so that neither the package nor a bundler
// has to find a .wasm file at run time.
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'core', 'kernel')
const source = await readFile(join(folder, 'kernel.wat'), 'utf8')
const module = (await wabt()).parseWat('kernel.wat', source)
module.validate()
const { buffer } = module.toBinary({ write_debug_names: false })
const text = `// Made by scripts/build-kernel.mjs from kernel.wat; not kept in the repository.\nexport const kernelBase64 =\n  '${Buffer.from(buffer).toString('base64')}'\n`
const target = join(folder, 'kernel-bytes.ts')
const old = await readFile(target, 'utf8').catch(() => '')
if (old !== text) await writeFile(target, text)
