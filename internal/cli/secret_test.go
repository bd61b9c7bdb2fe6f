package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"dsiem/internal/cli/options"
)

// secretUser returns the only user of the file that dsiem secret shows.
func secretUser(t *testing.T, out string) authUser {
	t.Helper()
	var file struct{ Users []authUser }
	_, snippet, _ := strings.Cut(out, "comma:\n\n")
	d := json.NewDecoder(strings.NewReader(snippet))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || len(file.Users) != 1 {
		t.Fatalf("%v in\n%s", err, out)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("something follows the file:\n%s", out)
	}
	return file.Users[0]
}

// TestSecretToken: a new token each time, its hash, and a file with that.
func TestSecretToken(t *testing.T) {
	t.Parallel()
	lines := regexp.MustCompile(`^token: (\S+)\nhash:  ([0-9a-f]{64})\n`)
	seen := map[string]bool{}
	for _, p := range []options.Program{dsiem, frontend} {
		o := runAs(t, p, []string{"secret", "--name=log stash", "--rights=intake,config-read"}, nil)
		m := lines.FindStringSubmatch(o.out)
		if o.code != exitDone || o.err != "" || m == nil {
			t.Fatalf("exit code %d\n%s%s", o.code, o.out, o.err)
		}
		token, hash := m[1], m[2]
		if sum := sha256.Sum256([]byte(token)); hex.EncodeToString(sum[:]) != hash || len(token) < 32 || seen[token] {
			t.Errorf("token %s has the hash %s", token, hash)
		}
		seen[token] = true
		user := secretUser(t, o.out)
		if user.Name != "log stash" || user.Token != hash || user.Password != "" || strings.Join(user.Rights, " ") != "intake config-read" {
			t.Errorf("the user is %+v", user)
		}
	}
}

// TestSecretPassword: the first line is hashed, and shown nowhere.
func TestSecretPassword(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a line": "correct horse\n", "no end": "correct horse", "windows": "correct horse\r\n", "more lines": "correct horse\nother\n",
	} {
		code, out, errs := runWithInput(t, strings.NewReader(in), "secret", "--password")
		if code != exitDone || errs != "" || strings.Contains(out, "horse") {
			t.Fatalf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
		user := secretUser(t, out)
		if user.Token != "" || !strings.HasPrefix(user.Password, "$argon2id$v=19$") || !strings.HasPrefix(out, "hash:  "+user.Password+"\n") ||
			user.Name != "client" || strings.Join(user.Rights, " ") != "intake" {
			t.Errorf("%s: the user is %+v of\n%s", name, user, out)
		}
	}
}

// TestSecretFails: what is no password, name or right.
func TestSecretFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in   io.Reader
		args string
		code int
		err  string
	}{
		"nothing":     {strings.NewReader(""), "--password", exitFailed, "dsiem: hashing a password: it is empty\n"},
		"empty line":  {strings.NewReader("\nx\n"), "--password", exitFailed, "dsiem: hashing a password: it is empty\n"},
		"too long":    {strings.NewReader(strings.Repeat("x", 1025)), "--password", exitFailed, "it is longer than 1024 bytes\n"},
		"endless":     {endless{}, "--password", exitFailed, "it is longer than 1024 bytes\n"},
		"broken pipe": {iotest.ErrReader(errors.New("it broke")), "--password", exitFailed, "dsiem: reading the password: it broke\n"},
		"bad name":    {nil, "--name=a:b", exitUsage, "--name must not be empty, nor contain a colon"},
		"no name":     {nil, "--name=", exitUsage, "--name must not be empty"},
		"bad right":   {nil, "--rights=read", exitUsage, "--rights"},
		"no right":    {nil, "--rights=", exitUsage, "--rights"},
		"argument":    {nil, "correct-horse", exitUsage, "unexpected argument"},
	} {
		code, out, errs := runWithInput(t, tt.in, append([]string{"secret"}, strings.Fields(tt.args)...)...)
		if code != tt.code || out != "" || !strings.Contains(errs, tt.err) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errs)
		}
	}
}

func runWithInput(t *testing.T, in io.Reader, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), &process{Streams: Streams{In: in, Out: &stdout, Err: &stderr}}, dsiem, args)
	return code, stdout.String(), stderr.String()
}

// endless has no line end and no end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
