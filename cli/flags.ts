import { type Command, InvalidArgumentError, Option } from 'commander'
import { convert, expected, fromText } from '../core/config/convert.js'
import { setPath } from '../core/config/environment.js'
import { KEYS } from '../core/config/generated/keys.js'
import type { ConfigKey } from '../core/config/keys.js'
import type { Layer } from '../core/config/layer.js'

/**
 * The flags that stand for keys of the configuration. What they are called, what they take and what they default to is
 * in the schema; here they are only made. A flag that was not typed says nothing.
 */

/** The key that an option of a command stands for. */
interface Stands {
  readonly attribute: string
  readonly path: string
  readonly flag: string
}

const standing = new WeakMap<Command, Stands[]>()

/** Adds the flags of keys, or of all keys of sections: `addFlags(command, 'snapshot', 'spool.dir')`. */
export function addFlags(command: Command, ...wanted: readonly string[]): Command {
  const belongs = ({ path }: ConfigKey) => wanted.some((name) => path === name || path.startsWith(`${name}.`))
  for (const key of KEYS.filter(belongs)) {
    if (key.flag !== undefined) add(command, key.path, option(key, key.flag))
    if (key.alias !== undefined) add(command, key.path, option(key, key.alias).hideHelp())
    if (key.flag !== undefined && key.type === 'flag') {
      const off = new Option(key.flag.replace('--', '--no-'), `the opposite of ${key.flag}`)
      add(command, key.path, key.default === true ? off : off.hideHelp())
    }
    if (key.offFlag !== undefined) add(command, key.path, new Option(key.offFlag, `go without ${words(key.path)}`))
  }
  return command
}

/** `-b` and `--endpoint`. */
export function addStorageFlags(command: Command, description: string): Command {
  const urls = 'file:///folder, s3://bucket/prefix, gs://bucket/prefix'
  add(command, 'storage.url', new Option('-b, --bucket <url>', `${description}: ${urls}`))
  add(
    command,
    'storage.endpoint',
    new Option('--endpoint <url>', 'address of the service, where it is not the usual one'),
  )
  return command
}

function add(command: Command, path: string, made: Option): void {
  command.addOption(made)
  const stands = { attribute: made.attributeName(), path, flag: made.long ?? made.flags }
  standing.set(command, [...(standing.get(command) ?? []), stands])
}

function option(key: ConfigKey, flags: string): Option {
  const made = new Option(flags, summary(key))
  if (!flags.includes('<')) return made
  if (key.choices) return made.choices([...key.choices])
  const unit = flags.includes('<milliseconds>') ? 'ms' : ''
  return made.argParser((text: string) => parse(key, text + unit))
}

function parse(key: ConfigKey, text: string): unknown {
  const value = fromText(key.type, text)
  if (value === undefined || value === null || convert(key.type, value) === undefined) {
    throw new InvalidArgumentError(`Write ${expected(key)}.`)
  }
  return value
}

/** What was typed, of a command and those above it. */
export function flagLayer(command: Command): Layer {
  const config: Record<string, unknown> = {}
  const origins = new Map<string, string>()
  const chain: Command[] = []
  for (let here: Command | null = command; here; here = here.parent) chain.unshift(here)
  for (const each of chain) {
    // Hidden spellings come after the ones that are shown, which win if somebody types both.
    for (const { attribute, path, flag } of [...(standing.get(each) ?? [])].reverse()) {
      if (each.getOptionValueSource(attribute) !== 'cli') continue
      setPath(config, path, each.getOptionValue(attribute))
      origins.set(path.startsWith('storage.') ? 'storage' : path, flag)
    }
  }
  return {
    source: 'flags',
    folder: process.cwd(),
    config: config,
    origin: (path) => origins.get(path) ?? 'flags',
  }
}

/** What help says about a flag: the first sentence of what the schema says, and the default. */
function summary({ description, default: value, type }: ConfigKey): string {
  const [sentence] = description.split(/[.;](?:\s|$)/)
  const text = (sentence[0].toLowerCase() + sentence.slice(1)).replaceAll('`', '')
  if (value === undefined || (value === false && type === 'flag')) return text
  const shown =
    value === false
      ? 'off'
      : value === true
        ? 'on'
        : Array.isArray(value)
          ? value.join(', ')
          : JSON.stringify(value).replaceAll('"', '')
  return `${text} (default: ${shown})`
}

function words(path: string): string {
  const name = path.slice(path.lastIndexOf('.') + 1)
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
