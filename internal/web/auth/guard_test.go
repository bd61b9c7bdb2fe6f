package auth_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/web/auth"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

func served() http.Handler { return http.HandlerFunc(ok) }

// hashed returns an argon2id hash of a password.
func hashed(t testing.TB, password string) string {
	t.Helper()
	hash, err := auth.HashPassword(password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// cheap returns an argon2id hash of a password that is verified in no time.
func cheap(password string) string {
	salt := []byte("saltsalt")
	sum := argon2.IDKey([]byte(password), salt, 3, 64, 4, 24)
	return "$argon2id$v=19$m=64,t=3,p=4$" + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

// crypted returns a cheap bcrypt hash of a password.
func crypted(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func allRights() []auth.Right {
	return []auth.Right{auth.Intake, auth.ConfigRead, auth.ConfigWrite, auth.Diagnostics}
}

// Everybody against every right, over a real connection.
func TestRequireAdmitsByRight(t *testing.T) {
	t.Parallel()
	g := load(t, `{"users":[
		{"name":"shipper","token_sha256":["`+sha("shipper-old")+`","`+sha("shipper-new")+`"],"rights":["intake"]},
		{"name":"operator","password":"`+cheap("open: sesame")+`","token_sha256":"`+sha("operator-token")+`","rights":["config-write","diagnostics"]},
		{"name":"backend","password":"`+crypted(t, "Käse")+`","rights":["config-read"]},
		{"name":"root","token_sha256":"`+sha("root-token")+`","rights":["all"]}],
		"anonymous":["config-read"]}`)
	mux := http.NewServeMux()
	for i, right := range allRights() {
		mux.Handle(fmt.Sprintf("/%d", i), g.Require(right, served()))
	}
	mux.Handle("/all", g.Require(auth.ConfigWrite|auth.Diagnostics, served()))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	const none = "401 401 401 401"
	for _, c := range []struct {
		who     string
		headers []string
		want    string // codes for intake, config-read, config-write, diagnostics
	}{
		{"nobody", nil, "401 200 401 401"},
		{"token", []string{"Bearer shipper-old"}, "200 200 403 403"},
		{"second token", []string{"Bearer shipper-new"}, "200 200 403 403"},
		{"scheme in other letters, more blanks", []string{"bEaReR   shipper-new"}, "200 200 403 403"},
		{"token of a user with a password", []string{"Bearer operator-token"}, "403 200 200 200"},
		{"all rights", []string{"Bearer root-token"}, "200 200 200 200"},
		{"password", []string{basic("operator", "open: sesame")}, "403 200 200 200"},
		{"password again, remembered", []string{basic("operator", "open: sesame")}, "403 200 200 200"},
		{"bcrypt", []string{basic("backend", "Käse")}, "403 200 403 403"},
		{"token as password", []string{basic("root", "root-token")}, "200 200 200 200"},
		{"token as password of a user with one", []string{basic("operator", "operator-token")}, "403 200 200 200"},

		{"wrong token", []string{"Bearer shipper"}, none},
		{"token of other case", []string{"Bearer Root-Token"}, none},
		{"digest instead of token", []string{"Bearer " + sha("root-token")}, none},
		{"password as token", []string{"Bearer open: sesame"}, none},
		{"no token", []string{"Bearer"}, none},
		{"empty token", []string{"Bearer "}, none},
		{"empty header", []string{""}, none},
		{"token without scheme", []string{"root-token"}, none},
		{"other scheme", []string{"Digest root-token"}, none},
		{"two headers", []string{"Bearer root-token", "Bearer root-token"}, none},
		{"long token", []string{"Bearer " + strings.Repeat("a", 20000)}, none},
		{"wrong password", []string{basic("operator", "open sesame")}, none},
		{"empty password", []string{basic("operator", "")}, none},
		{"long password", []string{basic("operator", strings.Repeat("a", 1025))}, none},
		{"no such user", []string{basic("oper", "open: sesame")}, none},
		{"no user", []string{basic("", "open: sesame")}, none},
		{"token of another user", []string{basic("operator", "root-token")}, none},
		{"password of another user", []string{basic("backend", "open: sesame")}, none},
		{"user without password", []string{basic("shipper", "open: sesame")}, none},
		{"hash as password", []string{basic("root", sha("root-token"))}, none},
		{"not base64", []string{"Basic operator:x"}, none},
		{"no colon", []string{"Basic b3BlcmF0b3I="}, none},
	} {
		var got []string
		for i := range allRights() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/%d", server.URL, i), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Authorization"] = c.headers
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got = append(got, fmt.Sprint(resp.StatusCode))
		}
		if codes := strings.Join(got, " "); codes != c.want {
			t.Errorf("%s: %s, want %s", c.who, codes, c.want)
		}
	}
	if code := ask(mux, "Bearer operator-token").Code; code != http.StatusNotFound {
		t.Errorf("a path that nobody guards: %d", code)
	}
	both := g.Require(auth.ConfigWrite|auth.Diagnostics|auth.Intake, served())
	if w := ask(both, "Bearer operator-token"); w.Code != http.StatusForbidden || w.Body.String() != "the right intake is missing\n" {
		t.Errorf("several rights: %d %s", w.Code, w.Body)
	}
}

func TestRefusalsSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	log := new(testkit.Logbook)
	g, err := auth.Load(authFile(t, `{"users":[{"name":"shipper","token_sha256":"`+sha("t0ken")+`","rights":["intake"]}]}`), log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	h := g.Require(auth.ConfigRead|auth.ConfigWrite, served())
	type answer struct {
		Code       int
		Body       string
		Challenges []string
	}
	const basicChallenge = `Basic realm="dsiem", charset="UTF-8"`
	for _, c := range []struct {
		headers []string
		want    answer
	}{
		{nil, answer{401, "no credentials\n", []string{`Bearer realm="dsiem"`, basicChallenge}}},
		{[]string{"Bearer s3cret"}, answer{401, "wrong credentials\n", []string{`Bearer realm="dsiem", error="invalid_token"`, basicChallenge}}},
		{[]string{basic("mallory", "s3cret")}, answer{401, "wrong credentials\n", []string{`Bearer realm="dsiem", error="invalid_token"`, basicChallenge}}},
		{[]string{"Bearer t0ken"}, answer{403, "the right config-read, config-write is missing\n", nil}},
	} {
		w := ask(h, c.headers...)
		got := answer{w.Code, w.Body.String(), w.Result().Header["Www-Authenticate"]}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.headers, diff)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: the refusal may be kept", c.headers)
		}
	}
	if diff := cmp.Diff(auth.Stats{NoCredentials: 1, WrongCredentials: 2, MissingRight: 1}, g.Stats()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	for _, secret := range []string{"s3cret", "t0ken", sha("t0ken")} {
		if lines := log.With(secret); len(lines) > 0 {
			t.Errorf("the log shows a secret: %q", lines)
		}
	}
}

func TestNoGuardAdmitsEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g *auth.Guard
		testkit.Run(t, g)
		for _, right := range allRights() {
			if w := ask(g.Require(right, served()), "Bearer whatever"); w.Code != http.StatusOK || w.Body.String() != "hello " {
				t.Errorf("%v: %d %s", right, w.Code, w.Body)
			}
		}
		if g.Stats() != (auth.Stats{}) {
			t.Errorf("counted %v", g.Stats())
		}
	})
}

func TestUserIsKnownBehindTheGuard(t *testing.T) {
	t.Parallel()
	g := load(t, `{"users":[{"name":"ann","token_sha256":"`+sha("a")+`","rights":["all"]}],"anonymous":["diagnostics"]}`)
	for _, c := range []struct {
		right   auth.Right
		headers []string
		want    string
	}{
		{auth.ConfigWrite, []string{"Bearer a"}, "hello ann"},
		{auth.Diagnostics, []string{basic("ann", "a")}, "hello ann"},
		{auth.Diagnostics, nil, "hello "},
		{auth.Intake, []string{"Bearer a"}, "hello "},
		{auth.Intake | auth.ConfigWrite, []string{"Bearer a"}, "hello ann"},
	} {
		if w := ask(g.Require(c.right, served()), c.headers...); w.Body.String() != c.want {
			t.Errorf("%v: %s, want %s", c.right, w.Body, c.want)
		}
	}
}

// One line in ten seconds and kind says how many are behind it.
func TestRefusalsAreLoggedWithMeasure(t *testing.T) {
	t.Parallel()
	path := authFile(t, `{"users":[{"name":"ann","token_sha256":"`+sha("a")+`","rights":["intake"]}]}`)
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		g, err := auth.Load(path, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		h := g.Require(auth.ConfigRead, served())
		evil := strings.Repeat("m", 200) + "\n2026 level=ERROR"
		for range 100 {
			ask(h, basic(evil, "x"))
			ask(h, "Bearer a")
			ask(h)
		}
		testkit.Pass(10 * time.Second)
		ask(h, basic(evil, "x"))
		want := []string{
			`level=WARN msg="request refused" reason="wrong credentials" peer=192.0.2.1:1234 user=` + strings.Repeat("m", 80) + `… right=config-read method=POST path=/events not_shown=0`,
			`level=WARN msg="request refused" reason="missing right" peer=192.0.2.1:1234 user=ann right=config-read method=POST path=/events not_shown=0`,
			`level=WARN msg="request refused" reason="no credentials" peer=192.0.2.1:1234 user="" right=config-read method=POST path=/events not_shown=0`,
			`level=WARN msg="request refused" reason="wrong credentials" peer=192.0.2.1:1234 user=` + strings.Repeat("m", 80) + `… right=config-read method=POST path=/events not_shown=99`,
		}
		testkit.Equal(t, log.With("request refused"), want)
	})
}

// While the file changes, breaks, goes and comes back, who has a right in every
// version is never refused, and everybody else follows the file.
func TestRightsFollowTheFileUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		version := func(user, rights string) string {
			return `{"users":[{"name":"steady","token_sha256":"` + sha("steady") + `","rights":["intake"]},` +
				`{"name":"` + user + `","token_sha256":"` + sha(user) + `","rights":["` + rights + `"]}]}`
		}
		// As Kubernetes does it: a link to a folder that is replaced.
		link, path := filepath.Join(dir, "..data"), filepath.Join(dir, "auth.json")
		number := 0
		publish := func(content string) {
			number++
			folder := filepath.Join(dir, fmt.Sprint(number))
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if content != "" {
				testkit.WriteFile(t, filepath.Join(folder, "auth.json"), content)
			}
			if err := os.Symlink(folder, link+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(link+".new", link); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join("..data", "auth.json"), path); err != nil {
			t.Fatal(err)
		}
		publish(version("ann", "intake"))
		log := new(testkit.Logbook)
		g, err := auth.Load(path, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Run(t, g)
		h := g.Require(auth.Intake, served())

		end := make(chan struct{})
		var senders sync.WaitGroup
		for range 4 {
			senders.Go(func() {
				ticker := time.NewTicker(10 * time.Millisecond)
				defer ticker.Stop()
				for {
					if w := ask(h, "Bearer steady"); w.Code != http.StatusOK {
						t.Errorf("the steady sender got %d", w.Code)
					}
					select {
					case <-ticker.C:
					case <-end:
						return
					}
				}
			})
		}
		for _, step := range []struct {
			content  string
			ann, bob int
			problems int // lines so far that say why a file is not used
		}{
			{version("bob", "intake"), 401, 200, 0},
			{version("bob", "diagnostics"), 401, 403, 0},
			{version("bob", "write"), 401, 403, 1},
			{version("bob", "diagnostics"), 401, 403, 1},
			{`{"users":[`, 401, 403, 2},
			{"", 401, 403, 3}, // no such file
			{version("ann", "intake"), 200, 401, 3},
		} {
			publish(step.content)
			testkit.Pass(7 * time.Second)
			ann, bob := ask(h, "Bearer ann").Code, ask(h, "Bearer bob").Code
			if ann != step.ann || bob != step.bob {
				t.Errorf("%s: ann %d, bob %d, want %d and %d", step.content, ann, bob, step.ann, step.bob)
			}
			lines := log.With("level=ERROR", "error reloading access rights, the old ones stay", "auth.json")
			if len(lines) != step.problems {
				t.Errorf("%s: logged %q", step.content, lines)
			}
		}
		close(end)
		senders.Wait()
		if lines := log.With("level=ERROR", `msg="access rights"`, `auth.json:1:`, `there is no right`); len(lines) != 1 {
			t.Errorf("the bad right is logged as %q", lines)
		}
		if lines := log.With("level=INFO", "access rights loaded"); len(lines) != 4 {
			t.Errorf("loaded %d times: %q", len(lines), lines)
		}
	})
}

// A file that is being written is not reported as broken.
func TestAHalfWrittenFileIsNoProblemForAMoment(t *testing.T) {
	t.Parallel()
	path := authFile(t, `{"users":[],"anonymous":["intake"]}`)
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		g, err := auth.Load(path, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Run(t, g)
		testkit.Pass(time.Second) // so that the file changes between two looks
		for _, content := range []string{``, `{"users":[],`, `{"users":[],"anonymous":["diag`} {
			testkit.WriteFile(t, path, content)
			testkit.Pass(2 * time.Second)
		}
		testkit.WriteFile(t, path, `{"users":[],"anonymous":["diagnostics"]}`)
		testkit.Pass(2*time.Second + time.Millisecond)
		if lines := log.With("level=ERROR"); len(lines) > 0 {
			t.Errorf("logged %q", lines)
		}
		if code := ask(g.Require(auth.Diagnostics, served())).Code; code != http.StatusOK {
			t.Errorf("the new file is not in use: %d", code)
		}
	})
}

func TestSecretsForTheFile(t *testing.T) {
	t.Parallel()
	token, sum := auth.NewToken()
	other, _ := auth.NewToken()
	if token == other || !strings.HasPrefix(token, "dsiem_") || len(token) != 49 || sum != sha(token) {
		t.Errorf("tokens %s, %s with digest %s", token, other, sum)
	}
	hash := hashed(t, "a")
	if hash == hashed(t, "a") || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", hash)
	}
	for _, password := range []string{"", strings.Repeat("a", 1025)} {
		if hash, err := auth.HashPassword(password); err == nil || hash != "" {
			t.Errorf("a password of %d bytes: %s", len(password), hash)
		}
	}
	g := load(t, `{"users":[{"name":"a","token_sha256":"`+sum+`","password":"`+hash+`","rights":["all"]}]}`)
	for _, header := range []string{"Bearer " + token, basic("a", token), basic("a", "a")} {
		if w := ask(g.Require(auth.All, served()), header); w.Code != http.StatusOK {
			t.Errorf("%s: %d", header, w.Code)
		}
	}
}

// Hashes that other programs have made, as published with them.
func TestHashesOfOtherProgramsAreUnderstood(t *testing.T) {
	t.Parallel()
	for hash, password := range map[string]string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4": "password",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                         "U*U",
	} {
		h := load(t, `{"users":[{"name":"a","password":"`+hash+`","rights":["all"]}]}`).Require(auth.Intake, served())
		if w := ask(h, basic("a", password)); w.Code != http.StatusOK {
			t.Errorf("%s: %d", hash, w.Code)
		}
	}
}

func TestRightsHaveNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[auth.Right]string{
		0: "none", auth.Intake: "intake", auth.ConfigRead: "config-read", auth.ConfigWrite: "config-write",
		auth.Diagnostics: "diagnostics", auth.All: "all", auth.Intake | auth.Diagnostics: "intake, diagnostics",
	} {
		if in.String() != want {
			t.Errorf("%d: %s", in, in)
		}
	}
}

// FuzzAuthorization checks that nothing but the right credentials lets anybody
// in, whatever the header looks like.
func FuzzAuthorization(f *testing.F) {
	g := load(f, `{"users":[{"name":"ann","token_sha256":"`+sha("a-token")+`","rights":["all"]},`+
		`{"name":"bob","password":"`+crypted(f, "a-password")+`","rights":["all"]}]}`)
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer a-token", "bearer  a-token ", "Bearer a-token,", "Basic", "Basic =", "Digest username=x",
		basic("ann", "a-token"), basic("bob", "a-password"), basic("bob", "a-password\x00"), basic("", ""), "Basic " + strings.Repeat("QUFB", 500),
	} {
		f.Add(seed)
	}
	h := g.Require(auth.ConfigWrite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, auth.User(r))
	}))
	f.Fuzz(func(t *testing.T, header string) {
		w := ask(h, header)
		switch {
		case w.Code == http.StatusUnauthorized:
			return
		case w.Code != http.StatusOK:
			t.Fatalf("%q: %d", header, w.Code)
		}
		scheme, rest, _ := strings.Cut(header, " ")
		r := http.Request{Header: http.Header{"Authorization": {header}}}
		name, password, _ := r.BasicAuth()
		switch user := w.Body.String(); {
		case strings.EqualFold(scheme, "bearer") && strings.Trim(rest, " ") == "a-token" && user == "ann":
		case name == "ann" && password == "a-token" && user == "ann":
		case name == "bob" && password == "a-password" && user == "bob":
		default:
			t.Errorf("%q lets %q in", header, user)
		}
	})
}
