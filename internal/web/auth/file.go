package auth

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"dsiem/internal/jsonfile"
)

// maxName is the number of characters of the longest user name.
const maxName = 128

// digest is a SHA-256, of a token or keyed.
type digest [sha256.Size]byte

// rules are the content of one file. They do not change, but for what accounts
// remember; a new file makes new ones.
type rules struct {
	nobody *account // a caller without credentials
	users  map[string]*account
	tokens map[digest]*account
	// decoy is what the passwords of users that do not exist, or have none, are
	// held against, so that the time of an answer does not tell who exists, as
	// far as all hashes cost the same. It is nil if nobody has a password.
	decoy *passwordHash
}

// account is one user.
type account struct {
	name     string
	rights   Right // those of callers without credentials included
	password *passwordHash
	// verified is the keyed digest of the password when it was last given and
	// right. An account has one password, so one place is all it takes to
	// remember, and outsiders cannot fill it.
	verified atomic.Pointer[digest]
}

// parse reads the content of a file and adds every problem to the report. The
// rules are good for use only if the report has no errors.
//
// No problem shows a piece of the file: there may be a password or token in it.
func parse(name string, content []byte, report *jsonfile.Report) *rules {
	l := &loader{
		file:   jsonfile.NewFile(name, content),
		report: report,
		rules:  &rules{nobody: &account{}, users: map[string]*account{}, tokens: map[digest]*account{}},
		lines:  map[string]int{},
	}
	if root := l.root(content); root != nil {
		l.load(root)
	}
	for i := range report.Problems {
		p := &report.Problems[i]
		p.Source, p.Caret = "", 0
		p.Msg = withoutText(p.Msg)
	}
	report.Sort()
	return l.rules
}

// loader reads one file.
type loader struct {
	file   *jsonfile.File
	report *jsonfile.Report
	rules  *rules
	lines  map[string]int // of the users
}

// root returns the object that is the file, or nil after a problem.
func (l *loader) root(content []byte) *jsonfile.Value {
	var shape jsonfile.Report
	if !l.file.Each(&shape, "users", func(int, *jsonfile.Value) {}) {
		for _, p := range shape.Problems {
			if p.Severity == jsonfile.Error {
				l.report.Add(p)
			}
		}
		return nil
	}
	// As the only element of a list the object is read as one value, a byte
	// further on.
	list := jsonfile.NewFile(l.file.Name, slices.Concat([]byte("["), content, []byte("]")))
	var root *jsonfile.Value
	if !list.EachElement(&shape, func(_ int, v *jsonfile.Value) { root = v }) {
		l.report.Add(jsonfile.Problem{File: l.file.Name, Msg: "the file is nested too deep"})
		return nil
	}
	moveBack(root)
	return root
}

// moveBack moves a value and what is in it back by a byte.
func moveBack(v *jsonfile.Value) {
	v.Offset--
	for i := range v.Elems {
		moveBack(&v.Elems[i])
	}
	for i := range v.Members {
		v.Members[i].Offset--
		moveBack(&v.Members[i].Value)
	}
}

func (l *loader) load(root *jsonfile.Value) {
	s := &jsonfile.Scope{File: l.file, Report: l.report, Object: root}
	keys(s, "users", "anonymous")
	nobody := l.rules.nobody
	nobody.rights = rights(s, "anonymous", false)
	if nobody.rights&ConfigWrite != 0 {
		s.Warnf(jsonfile.AnonymousWrites, root.Get("anonymous").Offset, "anonymous", "whoever reaches the service may change the configuration; remove config-write unless this is meant")
	}
	_, users := s.Objects("users", true)
	for i := range users.Elems {
		if v := &users.Elems[i]; v.Kind == jsonfile.Object {
			l.user(i, v)
		}
	}
	if len(users.Elems) == 0 && nobody.rights == 0 && l.report.Count(jsonfile.Error) == 0 {
		s.Warnf(jsonfile.NobodyAllowed, users.Offset, "users", "nobody may do anything; add a user, or give rights to \"anonymous\"")
	}
}

// user reads one user. A user with problems is only good for finding more.
func (l *loader) user(i int, v *jsonfile.Value) {
	s := &jsonfile.Scope{File: l.file, Report: l.report, Object: v, Where: fmt.Sprintf("user number %d", i+1)}
	a := &account{}
	if name := s.NonEmpty("name"); name != "" {
		s.Where = "user " + jsonfile.Quote(name)
		l.name(s, name)
		a.name = strings.Clone(name)
	}
	keys(s, "name", "token_sha256", "password", "rights")
	given := rights(s, "rights", true)
	if list := v.Get("rights"); list != nil && list.Kind == jsonfile.Array && len(list.Elems) == 0 {
		s.Errorf(list.Offset, "rights", "name at least one right, or remove the user; the rights are %s", known())
	}
	a.rights = given | l.rules.nobody.rights
	l.tokens(s, a)
	l.password(s, a)
	if v.Get("token_sha256") == nil && v.Get("password") == nil {
		s.Errorf(v.Offset, "", "the user has neither token_sha256 nor password; add one, or give the rights to \"anonymous\"")
	}
	l.rules.users[a.name] = a
}

// name checks the name of a user.
func (l *loader) name(s *jsonfile.Scope, name string) {
	offset := s.Object.Get("name").Offset
	switch {
	case utf8.RuneCountInString(name) > maxName:
		s.Errorf(offset, "name", "is longer than %d characters", maxName)
	case strings.Contains(name, ":"):
		s.Errorf(offset, "name", "must not contain a colon, which ends the name in basic authentication")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		s.Errorf(offset, "name", "must not contain control characters")
	}
	if first := l.lines[name]; first > 0 {
		s.Errorf(offset, "name", "is the name of the user on line %d too; give each user once, with all tokens", first)
		return
	}
	l.lines[name], _ = l.file.Position(offset)
}

func (l *loader) tokens(s *jsonfile.Scope, a *account) {
	const key = "token_sha256"
	for _, v := range secrets(s, key) {
		sum, err := hex.DecodeString(v.Text)
		switch {
		case err != nil || len(sum) != sha256.Size:
			s.Errorf(v.Offset, key, "must be the SHA-256 of a token in %d hexadecimal digits, never the token itself; \"dsiem secret\" makes both", hex.EncodedLen(sha256.Size))
			continue
		case digest(sum) == sha256.Sum256(nil):
			s.Errorf(v.Offset, key, "is the SHA-256 of an empty text")
			continue
		}
		if owner := l.rules.tokens[digest(sum)]; owner != nil {
			s.Errorf(v.Offset, key, "the token is one of user %s already; give each token once", jsonfile.Quote(owner.name))
			continue
		}
		l.rules.tokens[digest(sum)] = a
	}
}

func (l *loader) password(s *jsonfile.Scope, a *account) {
	const key = "password"
	v := s.Object.Get(key)
	if v == nil {
		return
	}
	if v.Kind != jsonfile.String {
		s.Errorf(v.Offset, key, "a string is required, not %s", v.Kind)
		return
	}
	hash, err := parsePassword(v.Text)
	if err != nil {
		s.Errorf(v.Offset, key, "%s", err)
		return
	}
	if hash.weak {
		s.Warnf(jsonfile.HashCheap, v.Offset, key, "the hash is cheap to try passwords against; make a better one with \"dsiem secret\"")
	}
	a.password = hash
	if l.rules.decoy == nil {
		l.rules.decoy = hash
	}
}

// secrets returns the strings of a member that is a string or a list of them.
// Its messages do not show values, as those of Scope would.
func secrets(s *jsonfile.Scope, key string) []*jsonfile.Value {
	v := s.Object.Get(key)
	switch {
	case v == nil:
		return nil
	case v.Kind == jsonfile.String:
		return []*jsonfile.Value{v}
	case v.Kind != jsonfile.Array:
		s.Errorf(v.Offset, key, "a string or a list of strings is required, not %s", v.Kind)
		return nil
	case len(v.Elems) == 0:
		s.Errorf(v.Offset, key, "the list is empty; remove it or add a token")
	}
	var found []*jsonfile.Value
	for i := range v.Elems {
		if e := &v.Elems[i]; e.Kind == jsonfile.String {
			found = append(found, e)
		} else {
			s.Errorf(e.Offset, key, "every element must be a string, not %s", e.Kind)
		}
	}
	return found
}

// rights reads a list of rights.
func rights(s *jsonfile.Scope, key string, required bool) Right {
	s.Strings(key, required) // reports what is no list of strings
	v := s.Object.Get(key)
	if v == nil || v.Kind != jsonfile.Array {
		return 0
	}
	var all Right
	for i := range v.Elems {
		e := &v.Elems[i]
		if e.Kind != jsonfile.String {
			continue
		}
		right, ok := parseRight(e.Text)
		if !ok {
			s.Errorf(e.Offset, key, "there is no right %s; the rights are %s", jsonfile.Quote(e.Text), known())
		}
		all |= right
	}
	return all
}

// known lists the names of all rights.
func known() string {
	names := rightNames()
	return strings.Join(names[:], ", ") + " and " + allName
}

// keys reports keys that are given twice, and keys that are not known: a rule
// about access that is not followed must not go unnoticed.
func keys(s *jsonfile.Scope, names ...string) {
	lines := map[string]int{}
	for i := range s.Object.Members {
		m := &s.Object.Members[i]
		line, _ := s.File.Position(m.Offset)
		switch first := lines[m.Name]; {
		case first > 0:
			s.Errorf(m.Offset, "", "key %s is given twice, first on line %d; remove one", jsonfile.Quote(m.Name), first)
		case !slices.Contains(names, m.Name):
			hint := cmp.Or(jsonfile.Suggestion(m.Name, names), "; the keys are "+strings.Join(names, ", "))
			s.Errorf(m.Offset, "", "unknown key %s%s", jsonfile.Quote(m.Name), hint)
		}
		if lines[m.Name] == 0 {
			lines[m.Name] = line
		}
	}
}

// quoted finds what stands in quotes in a message.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// withoutText returns a message about broken syntax without the pieces of the
// file that it quotes, single characters and escapes aside. Other messages are
// of this package or quote names of keys, rights and users.
func withoutText(msg string) string {
	const syntax = "not valid JSON: "
	if !strings.HasPrefix(msg, syntax) {
		return msg
	}
	return quoted.ReplaceAllStringFunc(msg, func(text string) string {
		if inner := text[1 : len(text)-1]; len(inner) <= 2 || inner[0] == '\\' && len(inner) <= 6 {
			return text
		}
		return `"…"`
	})
}
