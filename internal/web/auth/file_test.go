package auth_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/jsonfile"
	"dsiem/internal/web/auth"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

// Hashes of no password. argonHash and cryptHash are as cheap as they can be;
// fineHash has the parameters of HashPassword.
const (
	argonHash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$" + argonSum
	argonSum  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	cryptHash = "$2a$04$....................................................."
	fineHash  = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$" + argonSum
)

// problems loads a file and returns its problems, a line each.
func problems(t *testing.T, content string) string {
	t.Helper()
	path := authFile(t, content)
	log := new(testkit.Logbook)
	g, err := auth.Load(path, log.Logger())
	if (g == nil) != (err != nil) {
		t.Errorf("%s: a Guard %v with error %v", content, g, err)
	}
	var text []string
	if err == nil {
		for _, line := range log.With("level=WARN", `msg="access rights"`) {
			_, problem, _ := strings.Cut(line, ` problem="`)
			problem, _, _ = strings.Cut(problem, `" reason=`)
			text = append(text, strings.ReplaceAll(problem, `\"`, `"`))
		}
	} else if report, found := errors.AsType[*jsonfile.ReportError](err); found {
		for i := range report.Report.Problems {
			p := &report.Report.Problems[i]
			if p.Source != "" {
				t.Errorf("a problem shows a line of the file: %s", p.Source)
			}
			text = append(text, p.Error())
		}
		if !strings.HasPrefix(err.Error(), "loading access rights: ") {
			t.Errorf("error %v", err)
		}
	} else {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(text, "\n"), path+":", "")
}

func TestFileIsReportedWithPlaces(t *testing.T) {
	t.Parallel()
	a, b := sha("a"), sha("b")
	user := func(members string) string { return `{"users":[{` + members + `}]}` }
	const rightsAre = "the rights are intake, config-read, config-write, diagnostics and all"
	for _, c := range []struct{ in, want string }{
		{user(`"name":"a","token_sha256":"` + a + `","rights":["intake"]`), ""},
		{user(`"name":"a","token_sha256":["` + a + `","` + strings.ToUpper(b) + `"],"rights":["all"]`), ""},
		{user(`"name":"a","password":"` + fineHash + `","rights":["intake","config-read","config-write","diagnostics"]`), ""},
		{`{"users":[],"anonymous":["intake"]}`, ""},

		{`{"users":[]}`, `1:10: warning: users: nobody may do anything; add a user, or give rights to "anonymous" [nobody-allowed]`},
		{
			"{\n \"anonymous\": [\"all\"],\n \"users\": []\n}",
			"2:15: warning: anonymous: whoever reaches the service may change the configuration; remove config-write unless this is meant [anonymous-writes]",
		},
		{
			user(`"name":"a","password":"` + argonHash + `","rights":["all"]`),
			`1:34: warning: user "a", password: the hash is cheap to try passwords against; make a better one with "dsiem secret" [hash-cheap]`,
		},
		{
			user(`"name":"a","password":"` + cryptHash + `","rights":["all"]`),
			`1:34: warning: user "a", password: the hash is cheap to try passwords against; make a better one with "dsiem secret" [hash-cheap]`,
		},

		{``, `1:1: the file is empty; the file must hold an object like {"users": [...]}`},
		{`[]`, `1:1: the file must hold an object like {"users": [...]}, not a list`},
		{`{}`, `1:1: the list "users" is missing; write {"users": [...]}`},
		{`{"users":{}}`, `1:10: "users" must be a list, not an object`},
		{`{"user":[]}`, `1:1: the list "users" is missing; write {"users": [...]}`},
		{`{"users":[],"users":[]}`, `1:13: key "users" is given twice, first on line 1; remove one`},
		{`{"users":[]} {}`, `1:14: something follows the end of the JSON value; remove it`},
		{"{\n\"users\": [],\n\"anonymus\": []}", `3:1: unknown key "anonymus"; did you mean "anonymous"?`},
		{`{"users":[],"groups":[]}`, `1:13: unknown key "groups"; the keys are users, anonymous`},
		{`{"users":[],"anonymous":"intake"}`, `1:25: anonymous: a list of strings is required, not a string; write ["intake"]`},
		{`{"users":[],"anonymous":["intake",5,"Intake"]}`, "1:35: anonymous: every element must be a string, not a number; write \"5\"\n" +
			`1:37: anonymous: there is no right "Intake"; ` + rightsAre},
		{`{"users":[5]}`, `1:11: users: every element must be an object, not a number`},

		{user(``), "1:11: user number 1, name: the key is missing; a string is required\n" +
			"1:11: user number 1, rights: the key is missing; a list of strings is required\n" +
			`1:11: user number 1: the user has neither token_sha256 nor password; add one, or give the rights to "anonymous"`},
		{user(`"name":"a","token_sha256":"` + a + `","rights":[]`), `1:114: user "a", rights: name at least one right, or remove the user; ` + rightsAre},
		{user(`"name":"a","token_sha256":"` + a + `","rights":["config_read"]`), `1:115: user "a", rights: there is no right "config_read"; ` + rightsAre},
		{user(`"name":"a","token":"` + a + `","token_sha256":"` + b + `","rights":["all"]`), `1:23: user "a": unknown key "token"; did you mean "token_sha256"?`},
		{user(`"name":"a","pasword":"x","token_sha256":"` + b + `","rights":["all"]`), `1:23: user "a": unknown key "pasword"; did you mean "password"?`},
		{user(`"name":"","token_sha256":"` + a + `","rights":["all"]`), `1:19: user number 1, name: must not be empty`},
		{user(`"name":"a:b","token_sha256":"` + a + `","rights":["all"]`), `1:19: user "a:b", name: must not contain a colon, which ends the name in basic authentication`},
		{user(`"name":"a\nb","token_sha256":"` + a + `","rights":["all"]`), `1:19: user "a\nb", name: must not contain control characters`},
		{user(`"name":"` + strings.Repeat("ä", 129) + `","token_sha256":"` + a + `","rights":["all"]`), `1:19: user "` + strings.Repeat("ä", 80) + `…", name: is longer than 128 characters`},
		{
			"{\"users\":[{\"name\":\"a\",\"token_sha256\":\"" + a + "\",\"rights\":[\"all\"]},\n{\"name\":\"a\",\"token_sha256\":\"" + b + "\",\"rights\":[\"all\"]}]}",
			`2:9: user "a", name: is the name of the user on line 1 too; give each user once, with all tokens`,
		},
		{
			"{\"users\":[{\"name\":\"a\",\"token_sha256\":\"" + a + "\",\"rights\":[\"all\"]},\n{\"name\":\"b\",\"token_sha256\":\"" + strings.ToUpper(a) + "\",\"rights\":[\"all\"]}]}",
			`2:28: user "b", token_sha256: the token is one of user "a" already; give each token once`,
		},
		{user(`"name":"a","token_sha256":"` + sha("") + `","rights":["all"]`), `1:38: user "a", token_sha256: is the SHA-256 of an empty text`},
		{user(`"name":"a","token_sha256":[],"rights":["all"]`), `1:38: user "a", token_sha256: the list is empty; remove it or add a token`},
		{user(`"name":"a","token_sha256":[1234],"rights":["all"]`), `1:39: user "a", token_sha256: every element must be a string, not a number`},
		{user(`"name":"a","token_sha256":1234,"rights":["all"]`), `1:38: user "a", token_sha256: a string or a list of strings is required, not a number`},
		{user(`"name":"a","password":1234,"rights":["all"]`), `1:34: user "a", password: a string is required, not a number`},
	} {
		got := problems(t, c.in)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

func TestTokensMustBeHashes(t *testing.T) {
	t.Parallel()
	const want = `1:38: user "a", token_sha256: must be the SHA-256 of a token in 64 hexadecimal digits, never the token itself; "dsiem secret" makes both`
	for _, in := range []string{"", "hunter2", sha("x")[1:], sha("x") + "00", "sha256:" + sha("x"), "g" + sha("x")[1:]} {
		if got := problems(t, `{"users":[{"name":"a","token_sha256":"`+in+`","rights":["all"]}]}`); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestPasswordsMustBeHashesThatCostALittleOnly(t *testing.T) {
	t.Parallel()
	argon := func(parameters string) string {
		return "$argon2id$" + parameters + "$c2FsdHNhbHRzYWx0$" + argonSum
	}
	const (
		plain   = `must be a hash, never the password itself; make one with "dsiem secret"`
		kind    = `is a hash of a kind that is not supported; use argon2id, which "dsiem secret" makes, or bcrypt`
		noArgon = `is not a whole argon2id hash, $argon2id$v=19$m=…,t=…,p=…$salt$hash`
		noCrypt = `is not a whole bcrypt hash, $2b$, a cost of two digits, $ and 53 characters`
	)
	crypt := strings.Repeat("a", 53)
	for _, c := range []struct{ in, want string }{
		{argon("v=19$m=65536,t=10,p=4"), ""},
		{argon("v=19$m=4096,t=1,p=1"), ""},
		{"$2a$14$" + crypt, ""},
		{"$2b$10$" + crypt, ""},
		{"$2y$12$" + crypt, ""},
		{"", plain},
		{"hunter2", plain},
		{"{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", plain},
		{"$argon2i$v=19$m=4096,t=1,p=1$c2FsdHNhbHQ$" + argonSum, kind},
		{"$argon2d$v=19$m=4096,t=1,p=1$c2FsdHNhbHQ$" + argonSum, kind},
		{"$1$abcdefgh$0123456789012345678901", kind},
		{"$2x$10$" + crypt, kind},
		{"$argon2id$", noArgon},
		{argon("v=19$m=4096,t=1"), noArgon},
		{argon("v=19$t=1,m=4096,p=1"), noArgon},
		{argon("v=19$m=-1,t=1,p=1"), noArgon},
		{argon("v=19$m=9999999999999999999,t=1,p=1"), noArgon},
		{argon("v=19$m=4096,t=1,p=1") + "=", noArgon},
		{argon("m=4096,t=1,p=1"), noArgon},
		{argon("v=16$m=4096,t=1,p=1"), "has the argon2 version 16; only 19 is supported"},
		{argon("v=19$m=65537,t=1,p=1"), "asks for m=65537 KiB of memory; use 8 to 65536"},
		{argon("v=19$m=4294967304,t=1,p=1"), "asks for m=4294967304 KiB of memory; use 8 to 65536"},
		{argon("v=19$m=31,t=1,p=4"), "asks for m=31 KiB of memory; use 32 to 65536"},
		{argon("v=19$m=0,t=1,p=1"), "asks for m=0 KiB of memory; use 8 to 65536"},
		{argon("v=19$m=4096,t=0,p=1"), "asks for t=0 passes; use 1 to 10"},
		{argon("v=19$m=4096,t=11,p=1"), "asks for t=11 passes; use 1 to 10"},
		{argon("v=19$m=4096,t=1,p=0"), "asks for p=0 threads; use 1 to 4"},
		{argon("v=19$m=4096,t=1,p=257"), "asks for p=257 threads; use 1 to 4"},
		{"$argon2id$v=19$m=4096,t=1,p=1$c2Fs$" + argonSum, "has a salt that is not 8 to 64 bytes in base64"},
		{"$argon2id$v=19$m=4096,t=1,p=1$c2Fsd$" + argonSum, "has a salt that is not 8 to 64 bytes in base64"},
		{"$argon2id$v=19$m=4096,t=1,p=1$" + strings.Repeat("A", 100) + "$" + argonSum, "has a salt that is not 8 to 64 bytes in base64"},
		{"$argon2id$v=19$m=4096,t=1,p=1$c2FsdHNhbHQ$AAAA", "has a hash that is not 16 to 64 bytes in base64"},
		{"$argon2id$v=19$m=4096,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 100), "has a hash that is not 16 to 64 bytes in base64"},
		{"$2a$10$" + crypt[1:], noCrypt},
		{"$2a$10$" + crypt + "a", noCrypt},
		{"$2a$10$" + crypt[1:] + "!", noCrypt},
		{"$2a$1$" + crypt + "a", noCrypt},
		{"$2a$31$" + crypt, "has the bcrypt cost 31; use 4 to 14"},
		{"$2a$03$" + crypt, "has the bcrypt cost 03; use 4 to 14"},
	} {
		want := c.want
		if want != "" {
			want = `1:34: user "a", password: ` + want
		}
		if got := problems(t, `{"users":[{"name":"a","password":"`+c.in+`","rights":["all"]}]}`); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", c.in, got, want)
		}
	}
}

// However a file is broken, what is written about it has no secret in it.
func TestProblemsNeverShowSecrets(t *testing.T) {
	t.Parallel()
	const secret = "S3cretHunter2"
	file := `{"users":[{"name":"a","password":"` + secret + `","token_sha256":["` + secret + `",` + secret + `],"rights":["all"]}],` +
		`"anonymous":[{"password":"` + secret + `"}],"token":"` + secret + `"}`
	check := func(in string) {
		t.Helper()
		log := new(testkit.Logbook)
		_, err := auth.Load(authFile(t, in), log.Logger())
		if err == nil {
			t.Fatalf("no error for %s", in)
		}
		text := err.Error() + strings.Join(log.With(), "\n")
		if report, found := errors.AsType[*jsonfile.ReportError](err); found {
			var b strings.Builder
			for i := range report.Report.Problems {
				if err := report.Report.Problems[i].Write(&b); err != nil {
					t.Fatal(err)
				}
			}
			text += b.String()
		}
		if strings.Contains(text, secret[:6]) || strings.Contains(text, secret[len(secret)-6:]) {
			t.Errorf("%s\nleads to\n%s", in, text)
		}
	}
	valid := strings.Replace(file, ","+secret+"]", "]", 1)
	for i := range len(file) {
		check(file[:i])
		check(file[:i] + file[i+1:])
		check(file[:i] + "\n" + file[i:])
		check(file[:i] + `\q` + file[i:])
	}
	check(valid)
}

func TestLoadNeedsARegularFileOfModestSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if g, err := auth.Load("", nil); g != nil || err != nil {
		t.Errorf("no file: %v, %v", g, err)
	}
	if _, err := auth.Load(filepath.Join(dir, "missing"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := auth.Load(dir, nil); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := auth.Load(authFile(t, strings.Repeat(" ", 1<<20+1)), nil); err == nil || !strings.Contains(err.Error(), "is larger than 1048576 bytes") {
		t.Errorf("large file: %v", err)
	}
	deep := `{"users":[],"x":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + "}"
	if _, err := auth.Load(authFile(t, deep), nil); err == nil || !strings.Contains(err.Error(), "nested too deep") {
		t.Errorf("deep file: %v", err)
	}
}

func TestFileThatEverybodyCanReadIsAWarning(t *testing.T) {
	t.Parallel()
	path := authFile(t, `{"users":[],"anonymous":["intake"]}`)
	for mode, warn := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o602: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		log := new(testkit.Logbook)
		if _, err := auth.Load(path, log.Logger()); err != nil {
			t.Fatal(err)
		}
		if got := len(log.With("level=WARN", "every user of this machine")) > 0; got != warn {
			t.Errorf("mode %o: warning %v", mode, got)
		}
	}
}

// FuzzFile checks that no file makes loading panic, that a file without errors
// gives nobody more than it says, and that loading again gives the same.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		`{"users":[{"name":"a","token_sha256":"` + sha("a") + `","rights":["intake"]},{"name":"b","password":"` + argonHash + `","rights":["all"]}],"anonymous":["config-read"]}`,
		`{"users":[{"name":"a","token_sha256":["` + sha("a") + `","` + sha("b") + `"],"password":"$2a$04$` + strings.Repeat(".", 53) + `","rights":["diagnostics"]}]}`,
		`{"users":[],"anonymous":["all"]}`, `{"users":[{"name":"","token_sha256":[1],"rights":["x"]},5]}`,
		`{"users":[{"name":"a","password":"$argon2id$v=19$m=4294967295,t=4294967295,p=255$AAAAAAAAAAAA$AAAA","rights":["all"]}]}`,
		`{"users":[{"name":"a","name":"b","passwrd":true}],"users":{}}`, "\uFEFF{}", ``, `{"users":[{"name":"\ud800"`,
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "auth.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		testkit.WriteFile(t, path, string(data))
		log := new(testkit.Logbook)
		g, err := auth.Load(path, log.Logger())
		_, again := auth.Load(path, nil)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Errorf("%v\nthen\n%v", err, again)
		}
		if err != nil {
			return
		}
		if len(log.With("access rights loaded")) != 1 {
			t.Errorf("logged %q", log.With())
		}
		for _, right := range []auth.Right{auth.Intake, auth.ConfigRead, auth.ConfigWrite, auth.Diagnostics} {
			allowed := strings.Contains(string(data), "all") || strings.Contains(string(data), right.String()) || strings.Contains(string(data), `\u`)
			if code := ask(g.Require(right, served())).Code; code == 200 && !allowed {
				t.Errorf("%v for everybody with %s", right, data)
			}
			if code := ask(g.Require(right, served()), "Bearer guess").Code; code != 401 {
				t.Errorf("a token that nobody has gets %d", code)
			}
		}
	})
}
