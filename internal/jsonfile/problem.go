// Package jsonfile reads the JSON files that users write — directives, assets,
// saved backlogs — so that every problem in them can be shown where it stands:
// file, line, column, the source line and what would be right.
//
// The package is pure: callers hand it the bytes of a file. A File and its
// values belong to the goroutine that reads them. It never writes a file and
// never repairs what is in one.
package jsonfile

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Severity tells errors, which stop a start, from warnings, which do not.
type Severity uint8

const (
	// Error is a problem that makes its directive, asset or file unusable.
	Error Severity = iota
	// Warning is something that works but is probably not what was meant.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one thing that is wrong, or doubtful, in a configuration file.
type Problem struct {
	// File is the file's name as the user gave it.
	File string `json:"file"`
	// Line and Column start at 1 and count characters; both are 0 when the
	// problem is about the whole file.
	Line   int `json:"line"`
	Column int `json:"column"`

	Severity Severity `json:"-"`
	// Lint is the name of a warning, "" for an error.
	Lint Lint `json:"name,omitzero"`
	// Where names the part of the file: "directive 12, stage 2, port_to".
	Where string `json:"where,omitzero"`
	// Msg says what is wrong and what would be right.
	Msg string `json:"message"`
	// Source is the source line, shortened around the column, and Caret the
	// number of characters before the column in it.
	Source string `json:"source,omitzero"`
	Caret  int    `json:"-"`
}

// Error returns the problem as one line: file:line:column: where: message, and for a
// warning its name: [name].
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.Where != "" {
		b.WriteString(p.Where)
		b.WriteString(": ")
	}
	b.WriteString(p.Msg)
	if p.Lint != "" {
		fmt.Fprintf(&b, " [%s]", p.Lint)
	}
	return b.String()
}

// Write prints the problem as one line, then the source line with a caret
// under the column.
func (p *Problem) Write(w io.Writer) error {
	if p.Source == "" {
		_, err := fmt.Fprintln(w, p.Error())
		return err
	}
	number := strconv.Itoa(p.Line)
	pad := make([]rune, 0, p.Caret)
	for _, r := range p.Source {
		if len(pad) == p.Caret {
			break
		}
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	_, err := fmt.Fprintf(w, "%s\n  %s | %s\n  %s | %s^\n",
		p.Error(), number, p.Source, strings.Repeat(" ", len(number)), string(pad))
	return err
}

// Report collects the problems of any number of files.
type Report struct {
	Problems []Problem

	// files holds the place of each file in the order in which they were read.
	files map[string]int
	// off are the warnings that are left out, fileOff those of a file; SwitchedOff is
	// the number of those that were.
	off         []Lint
	fileOff     map[string][]Lint
	SwitchedOff int
}

// read notes that a file has been read.
func (r *Report) read(file string) {
	if r.files == nil {
		r.files = map[string]int{}
	}
	if _, ok := r.files[file]; !ok {
		r.files[file] = len(r.files)
	}
}

// Add adds problems, except warnings that are switched off.
func (r *Report) Add(problems ...Problem) {
	for i := range problems {
		if r.isOff(&problems[i]) {
			r.SwitchedOff++
			continue
		}
		r.Problems = append(r.Problems, problems[i])
	}
}

// Count returns the number of problems of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for i := range r.Problems {
		if r.Problems[i].Severity == s {
			n++
		}
	}
	return n
}

// Sort orders the problems by file, in the order in which files were read, then
// by line and column. Problems that belong to no file in particular come last,
// problems at one place keep their order.
func (r *Report) Sort() {
	place := func(p *Problem) int {
		if i, ok := r.files[p.File]; ok {
			return i
		}
		return len(r.files)
	}
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place(&a), place(&b)), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Write prints every problem, each with its source line.
func (r *Report) Write(w io.Writer) error {
	for i := range r.Problems {
		if err := r.Problems[i].Write(w); err != nil {
			return fmt.Errorf("writing diagnostics: %w", err)
		}
	}
	return nil
}

// Err returns nil when the report holds no error, else an error that lists
// them all, a line each.
func (r *Report) Err() error {
	if r.Count(Error) == 0 {
		return nil
	}
	return &ReportError{Report: r}
}

// ReportError is the error of a report with errors in it.
type ReportError struct{ Report *Report }

func (e *ReportError) Error() string {
	var lines []string
	for i := range e.Report.Problems {
		if p := &e.Report.Problems[i]; p.Severity == Error {
			lines = append(lines, p.Error())
		}
	}
	return strings.Join(lines, "\n")
}
