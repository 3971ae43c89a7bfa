import { Argument, type Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

export function completionCommand(program: Command): void {
  program
    .command('completion')
    .description('print what a shell needs to complete commands and flags')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: Shell) => void process.stdout.write(WRITERS[shell](wordsOf(program))))
}

interface Flag {
  name: string
  description: string
}

/** Commands and their flags as they are declared, those that are not hidden. */
interface Words {
  global: Flag[]
  commands: Array<{ name: string; description: string; flags: Flag[] }>
}

function wordsOf(program: Command): Words {
  const commands = program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    flags: flagsOf(command),
  }))
  return { global: flagsOf(program), commands }
}

function flagsOf(command: Command): Flag[] {
  const flags = command.options.filter(({ hidden, long }) => !hidden && long)
  return [
    ...flags.map(({ long, description }) => ({ name: long ?? '', description })),
    { name: '--help', description: 'show what there is' },
  ]
}

const names = (list: ReadonlyArray<{ name: string }>) => list.map(({ name }) => name).join(' ')

/** Text inside single quotes of a shell. */
const quoted = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`

const WRITERS: Readonly<Record<Shell, (words: Words) => string>> = {
  bash: ({ global, commands }) => `# walrust completion for bash: eval "$(walrust completion bash)"
_walrust() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="" flags each
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$each" in ${commands.map(({ name }) => name).join('|')}) command="$each"; break ;; esac
  done
  case "$command" in
${commands.map(({ name, flags }) => `    ${name}) flags="${names(flags)}" ;;`).join('\n')}
    *) flags="${names(global)}" ;;
  esac
  if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -z "$command" ]]; then COMPREPLY=($(compgen -W "${names(commands)}" -- "$word"))
  else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _walrust walrust
`,

  zsh: ({ global, commands }) => `#compdef walrust
# walrust completion for zsh: source <(walrust completion zsh), after compinit
_walrust() {
  local -a commands flags
  local command="" each
  commands=(${commands.map(({ name, description }) => quoted(`${name}:${description}`)).join(' ')})
  for each in "\${(@)words[2,CURRENT-1]}"; do
    case "$each" in ${commands.map(({ name }) => name).join('|')}) command="$each"; break ;; esac
  done
  case "$command" in
${commands.map(({ name, flags }) => `    ${name}) flags=(${flags.map(zshFlag).join(' ')}) ;;`).join('\n')}
    *) flags=(${global.map(zshFlag).join(' ')}) ;;
  esac
  if [[ "$words[CURRENT]" == -* ]]; then _describe -o flag flags
  elif [[ -z "$command" ]]; then _describe command commands
  else _files; fi
}
compdef _walrust walrust
`,

  fish: ({ global, commands }) => {
    const none = `not __fish_seen_subcommand_from ${names(commands)}`
    const flag = (when: string, { name, description }: Flag) =>
      `complete -c walrust -n ${quoted(when)} -l ${name.slice(2)} -d ${quoted(description)}`
    return [
      '# walrust completion for fish: walrust completion fish | source',
      ...commands.map(
        ({ name, description }) => `complete -c walrust -f -n ${quoted(none)} -a ${name} -d ${quoted(description)}`,
      ),
      ...global.map((each) => flag(none, each)),
      ...commands.flatMap(({ name, flags }) => flags.map((each) => flag(`__fish_seen_subcommand_from ${name}`, each))),
      '',
    ].join('\n')
  },
}

function zshFlag({ name, description }: Flag): string {
  return quoted(`${name}:${description.replace(/:/g, '\\:')}`)
}
