package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// savedEdit is one change to the saved backlogs before a run.
type savedEdit struct {
	file    string
	content []byte // the whole new file, if op is replace
	op      editOp
	index   int // set: of the backlog
	path    jsonPath
	value   any
}

type editOp uint8

const (
	replace editOp = iota
	appendTo
	prependTo
	setValue
)

// parseSaved reads a section saved/FILE or saved.
func (s *source) parseSaved(sec *section) []savedEdit {
	_, name, _ := runSection(sec.name)
	if file, ok := strings.CutPrefix(name, "saved/"); ok {
		return []savedEdit{{file: file, content: sec.text(), op: replace}}
	}
	var edits []savedEdit
	for _, e := range s.entries(sec) {
		edit, err := parseEdit(e.text)
		if err != nil {
			s.failf(e.line, "%v", err)
		}
		edits = append(edits, edit)
	}
	return edits
}

// maxJunk bounds the size of a junk file, in bytes.
const maxJunk = 1 << 20

// parseEdit reads one line of the saved section.
func parseEdit(text string) (savedEdit, error) {
	head, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	if file, index, ok := strings.Cut(head, "["); ok {
		return parseSet(file, strings.TrimSuffix(index, "]"), rest)
	}
	edit := savedEdit{file: head}
	if !fs.ValidPath(head) || strings.Contains(head, "/") {
		return edit, fmt.Errorf("%q is not a file name", head)
	}
	verb, arg, _ := strings.Cut(rest, " ")
	var err error
	switch verb {
	case "append":
		edit.op = appendTo
		edit.value, err = parseValue(strings.TrimSpace(arg))
	case "prepend":
		edit.op = prependTo
		edit.value, err = parseValue(strings.TrimSpace(arg))
	case "junk":
		var size int
		err = atoi(strings.TrimSpace(arg), &size)
		if size < 1 || size > maxJunk {
			err = fmt.Errorf("%q is not a size from 1 to %d", arg, maxJunk)
			break
		}
		edit.content = bytes.Repeat([]byte("x"), size)
	default:
		err = fmt.Errorf("%q: write FILE[N] PATH = VALUE, FILE append JSON, FILE prepend JSON or FILE junk SIZE", text)
	}
	return edit, err
}

// parseSet reads FILE[N] PATH = VALUE.
func parseSet(file, index, rest string) (savedEdit, error) {
	edit := savedEdit{file: file, op: setValue}
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 {
		return edit, fmt.Errorf("%q is not the index of a backlog", index)
	}
	f, err := parseFact(0, rest)
	if err != nil {
		return edit, err
	}
	if f.op != equals {
		return edit, errors.New("write FILE[N] PATH = VALUE")
	}
	edit.index, edit.path, edit.value = n, f.path, f.val
	return edit, nil
}

// EditSaved makes the changes to the folder of saved backlogs that the scenario
// asks for before this run. The folder must exist.
func (r *Run) EditSaved(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the saved backlogs: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, e := range r.saved {
		if err := e.apply(root); err != nil {
			return fmt.Errorf("edit saved file %s before run %d: %w", e.file, r.Number, err)
		}
	}
	return nil
}

func (e *savedEdit) apply(root *os.Root) error {
	if e.op == replace {
		return root.WriteFile(e.file, e.content, 0o600)
	}
	data, err := root.ReadFile(e.file)
	if err != nil {
		return err
	}
	doc, err := decodeAny(data)
	if err != nil {
		return err
	}
	list, ok := doc.([]any)
	if !ok {
		return errors.New("the file is not a JSON array")
	}
	switch e.op {
	case appendTo:
		list = append(list, e.value)
	case prependTo:
		list = append([]any{e.value}, list...)
	case setValue:
		if e.index >= len(list) {
			return fmt.Errorf("there is no backlog %d", e.index)
		}
		if err := e.path.set(list[e.index], e.value); err != nil {
			return err
		}
	case replace: // done above
	}
	out, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	return root.WriteFile(e.file, append(out, '\n'), 0o600)
}
