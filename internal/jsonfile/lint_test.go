package jsonfile_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/jsonfile"
)

// Every constant is in the list by which names are known, and none has the name of
// another.
func TestLintsAreAllNames(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "lint.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var declared []jsonfile.Lint
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && isLint(spec.Type) {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, jsonfile.Lint(name))
		}
		return true
	})
	if diff := cmp.Diff(declared, jsonfile.Lints()); diff != "" || len(declared) == 0 {
		t.Errorf("declared -, listed +:\n%s", diff)
	}
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)
	for _, l := range declared {
		if !kebab.MatchString(string(l)) {
			t.Errorf("%s is not in kebab-case", l)
		}
	}
	slices.Sort(declared)
	if n := len(slices.Compact(declared)); n != len(jsonfile.Lints()) {
		t.Errorf("%d names for %d warnings", n, len(jsonfile.Lints()))
	}
}

func isLint(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "Lint"
}

// An error stays whatever is switched off.
func TestSwitchOffLeavesErrors(t *testing.T) {
	t.Parallel()
	file := jsonfile.NewFile("a.json", []byte("{}"))
	var r jsonfile.Report
	r.SwitchOff("", jsonfile.StageGap)
	r.Add(file.Problem(jsonfile.Error, 0, "", "wrong"), file.Warning(jsonfile.StageGap, 0, "", "a gap"))
	r.Add(file.Warning(jsonfile.UnknownKey, 0, "", "a key"), file.Problem(jsonfile.Error, 0, "", "wrong, too"))
	r.Drop(1, []jsonfile.Lint{"", jsonfile.UnknownKey})
	var got []string
	for i := range r.Problems {
		got = append(got, r.Problems[i].Msg)
	}
	if diff := cmp.Diff([]string{"wrong", "wrong, too"}, got); diff != "" || r.SwitchedOff != 2 {
		t.Errorf("%d switched off; want -, got +:\n%s", r.SwitchedOff, diff)
	}
}
