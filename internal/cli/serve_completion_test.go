package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/cli/options"

	"github.com/google/go-cmp/cmp"
)

// TestCompletionScripts: each has every command and every flag, and its shell,
// if it is there, can read it.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	// Those of other programs, which do nothing in any of ours.
	foreign := []string{"apm", "filter-threads", "preload-all-directives", "idle-directives-timeout", "dev", "test-env"}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		for _, p := range everyProgram() {
			o := runAs(t, p, []string{"completion", shell}, nil)
			if o.code != exitDone || o.err != "" {
				t.Fatalf("%s: exit code %d\n%s", shell, o.code, o.err)
			}
			own := map[string]bool{}
			for _, f := range p.Flags("serve") {
				own[f.Name] = true
			}
			for _, name := range slices.Concat(flagNames(dsiem), flagNames(p), foreign) {
				flag := map[string]string{"bash": "--" + name + " ", "zsh": "'--" + name, "fish": " -l " + name + " "}[shell]
				if got := strings.Contains(strings.ReplaceAll(o.out, "' ;;", " "), flag); got != own[name] {
					t.Errorf("%s, %s: --%s is there: %t", p.Called, shell, name, got)
				}
			}
			checkSyntax(t, shell, o.out)
		}
	}
}

// flagNames are the flags of serve that do something.
func flagNames(p options.Program) []string {
	var names []string
	for _, f := range p.Flags("serve") {
		names = append(names, f.Name)
	}
	return names
}

func checkSyntax(t *testing.T, shell, script string) {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Logf("there is no %s", shell)
		return
	}
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, "-n", file).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", shell, err, out)
	}
}

// TestBashCompletes asks bash for the words that follow.
func TestBashCompletes(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	script := runAs(t, dsiem, []string{"completion", "bash"}, nil).out
	for _, tt := range []struct {
		words []string
		want  []string
	}{
		{[]string{"re"}, []string{"replay"}},
		{[]string{"completion", ""}, []string{"bash", "fish", "zsh"}},
		{[]string{"serve", "--mode", "cl"}, []string{"cluster-frontend", "cluster-backend"}},
		{[]string{"serve", "--mode", "=", "st"}, []string{"standalone"}},
		{[]string{"--debug", "serve", "--fsync", "="}, []string{"never", "interval", "always"}},
		{[]string{"serve", "--med"}, []string{"--med-risk-min", "--med-risk-max"}},
		{[]string{"serve", "--no-r"}, []string{"--no-reload-backlogs"}},
		{[]string{"replay", "events"}, nil},
		{[]string{"replay", "--format", "s"}, []string{"suricata-eve"}},
	} {
		words := append([]string{"dsiem"}, tt.words...)
		ask := script + "\nCOMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _dsiem; echo \"${COMPREPLY[@]}\""
		out, err := exec.CommandContext(t.Context(), bash, slices.Concat([]string{"-c", ask, "bash"}, words)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", words, err, out)
		}
		if diff := cmp.Diff(tt.want, strings.Fields(string(out)), cmp.Transformer("", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
			t.Errorf("%q: want -, got +:\n%s", words, diff)
		}
	}
}
