package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"dsiem/internal/cli/options"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell that the script is for: ${enum}."`
}

// Help is shown below the flags.
func (completionCommand) Help() string {
	return `Load it in the shell's start file: with "source <(dsiem completion bash)", likewise for zsh, or with
"dsiem completion fish | source".`
}

// Run prints the script.
func (c *completionCommand) Run(k *kong.Context, p options.Program, streams Streams) error {
	commands := completableCommands(k.Model.Node, p)
	write := map[string]func(string, []completableCommand) string{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion,
	}[c.Shell]
	_, err := io.WriteString(streams.Out, write(p.Called, commands))
	return err
}

// completableCommand is a command as a shell completes it.
type completableCommand struct {
	name, help string
	flags      []options.Flag
	paths      bool     // its arguments are paths
	words      []string // its arguments are among these
}

// completableCommands are those that kong knows. Of serve and healthcheck it
// knows the names only; their flags are those of tables.
func completableCommands(root *kong.Node, p options.Program) []completableCommand {
	commands := make([]completableCommand, 0, len(root.Children))
	for _, node := range root.Children {
		if node.Hidden {
			continue
		}
		c := completableCommand{name: node.Name, help: node.Help, flags: []options.Flag{{Name: "help", Short: "h", Help: "Show help."}}}
		for _, f := range node.Flags {
			c.flags = append(c.flags, completableFlags(f)...)
		}
		for _, arg := range node.Positional {
			c.words = enumWords(arg)
			c.paths = c.words == nil
		}
		if flags := p.Flags(node.Name); flags != nil {
			c.flags = flags
		}
		commands = append(commands, c)
	}
	return commands
}

func completableFlags(f *kong.Flag) []options.Flag {
	flag := options.Flag{Name: f.Name, Help: f.Help, Words: enumWords(f.Value)}
	if f.Short != 0 {
		flag.Short = string(f.Short)
	}
	if !f.IsBool() {
		flag.Value = f.FormatPlaceHolder()
	}
	if f.Tag.Negatable == "" {
		return []options.Flag{flag}
	}
	return []options.Flag{flag, {Name: "no-" + f.Name, Help: f.Help}}
}

func enumWords(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return slices.Sorted(maps.Keys(v.EnumMap()))
}

// takesPath reports whether the value of a flag is a file or a directory.
func takesPath(f *options.Flag) bool { return f.Value == "DIR" || f.Value == "FILE" }

func shellFunction(name string) string { return "_" + strings.ReplaceAll(name, "-", "_") }

func commandNames(commands []completableCommand) []string {
	names := make([]string, len(commands))
	for i := range commands {
		names[i] = commands[i].name
	}
	return names
}

// bashCompletion returns a script for bash 4 and later. Where it has no words,
// bash completes paths.
func bashCompletion(name string, commands []completableCommand) string {
	var values, flags strings.Builder
	for _, c := range commands {
		var all []string
		for _, f := range c.flags {
			all = append(all, "--"+f.Name)
			if f.Words == nil {
				continue
			}
			pattern := c.name + ":--" + f.Name
			if f.Short != "" {
				pattern += "|" + c.name + ":-" + f.Short
			}
			fmt.Fprintf(&values, "    %s) words='%s' ;;\n", pattern, strings.Join(f.Words, " "))
		}
		fmt.Fprintf(&flags, "    %s:-*) words='%s' ;;\n", c.name, strings.Join(all, " "))
		if c.words != nil {
			fmt.Fprintf(&flags, "    %s:*) words='%s' ;;\n", c.name, strings.Join(c.words, " "))
		}
	}
	names := commandNames(commands)
	return strings.NewReplacer("FUNCTION", shellFunction(name), "PROGRAM", name, "VALUES", values.String(), "FLAGS", flags.String(),
		"COMMANDS", strings.Join(names, " "), "PATTERN", strings.Join(names, "|")).Replace(`# Completion of PROGRAM for bash.
FUNCTION() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command='' words='' word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
        PATTERN) command=$word && break ;;
        esac
    done
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $command:$previous in
VALUES    *)
        case $command:$current in
        :*) words='COMMANDS --help --version' ;;
FLAGS        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F FUNCTION PROGRAM
`)
}

// zshCompletion returns a script for zsh, to be sourced or put into a directory
// of $fpath.
func zshCompletion(name string, commands []completableCommand) string {
	escape := strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`)
	var list, cases strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&list, "        '%s:%s'\n", c.name, strings.ReplaceAll(c.help, "'", `'\''`))
		fmt.Fprintf(&cases, "    %s)\n        _arguments", c.name)
		for _, f := range c.flags {
			spec := "[" + escape.Replace(f.Help) + "]"
			assign := ""
			if f.Value != "" {
				assign = "="
				spec += ":" + escape.Replace(f.Value) + ":" + zshAction(f.Words, takesPath(&f))
			}
			fmt.Fprintf(&cases, " \\\n            '--%s%s%s'", f.Name, assign, spec)
			if f.Short != "" {
				fmt.Fprintf(&cases, " '-%s%s'", f.Short, spec)
			}
		}
		if c.paths || c.words != nil {
			fmt.Fprintf(&cases, " \\\n            '*:argument:%s'", zshAction(c.words, true))
		}
		cases.WriteString("\n        ;;\n")
	}
	return strings.NewReplacer("FUNCTION", shellFunction(name), "PROGRAM", name, "LIST", list.String(), "CASES", cases.String()).Replace(`#compdef PROGRAM
FUNCTION() {
    local -a commands=(
LIST    )
    local curcontext=$curcontext state line
    _arguments -C '(- *)'{-h,--help}'[Show help.]' '(- *)'{-V,--version}'[Print the version.]' '1:command:->command' '*::argument:->argument'
    if [[ $state == command ]]; then
        _describe command commands
        return
    fi
    case $words[1] in
CASES    esac
}
if [[ $funcstack[1] == FUNCTION ]]; then
    FUNCTION "$@"
else
    compdef FUNCTION PROGRAM
fi
`)
}

func zshAction(words []string, paths bool) string {
	switch {
	case words != nil:
		return "(" + strings.Join(words, " ") + ")"
	case paths:
		return "_files"
	}
	return ""
}

// fishCompletion returns a script for fish.
func fishCompletion(name string, commands []completableCommand) string {
	quote := func(text string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'" }
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of %s for fish.\n", name)
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -f -a %s -d %s\n", name, c.name, quote(c.help))
		within := fmt.Sprintf("complete -c %s -n '__fish_seen_subcommand_from %s'", name, c.name)
		if !c.paths {
			fmt.Fprintf(&b, "%s -f", within)
			if c.words != nil {
				fmt.Fprintf(&b, " -a %s", quote(strings.Join(c.words, " ")))
			}
			b.WriteByte('\n')
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "%s -l %s", within, f.Name)
			if f.Short != "" {
				fmt.Fprintf(&b, " -s %s", f.Short)
			}
			switch {
			case f.Words != nil:
				fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.Words, " ")))
			case takesPath(&f):
				b.WriteString(" -r -F")
			case f.Value != "":
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", quote(f.Help))
		}
	}
	return b.String()
}
