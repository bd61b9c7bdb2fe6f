package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"dsiem/internal/jsonfile"
	"dsiem/internal/observe/log"
	"dsiem/internal/text"
	"dsiem/internal/watch"
)

const (
	// maxWaiting is the number of passwords that may wait to be verified,
	// maxWait how long one does.
	maxWaiting = 32
	maxWait    = 3 * time.Second
)

// Guard knows who may do what. A nil Guard lets everybody do everything.
//
// The rights come from a JSON file:
//
//	{
//	  "users": [
//	    {"name": "logstash", "token_sha256": ["<64 hexadecimal digits>"], "rights": ["intake"]},
//	    {"name": "alice", "password": "$argon2id$v=19$…", "rights": ["config-read", "config-write"]}
//	  ],
//	  "anonymous": ["diagnostics"]
//	}
//
// "anonymous" are the rights of callers without credentials, which every user
// has as well; without it there are none. The rights are those of Right's
// constants, "intake", "config-read", "config-write", "diagnostics", and "all".
// A user has tokens (one, or several while they are being changed), a password,
// or both. NewToken and HashPassword make what stands in the file.
//
// A token is given as "Authorization: Bearer" or, with the user's name, as the
// password of basic authentication. Wrong credentials are refused even where
// none are needed, so that a mistake in them shows.
type Guard struct {
	path  string
	log   *slog.Logger
	watch watch.Watch
	rules atomic.Pointer[rules]

	// key is that of the digests that accounts remember. It lives as long as the
	// process: without it a digest tells nothing about the password.
	key [sha256.Size]byte
	// slots are the passwords that may be verified at a time. One costs up to
	// 64 MiB and a large part of a second, and anybody can ask for it.
	slots   chan struct{}
	waiting atomic.Int64

	counts [verdicts]atomic.Uint64
	told   [verdicts]log.Limit // of log lines about requests
}

// verdict is what becomes of a request.
type verdict int

const (
	admitted verdict = iota
	noCredentials
	wrongCredentials
	missingRight
	busy

	verdicts
)

// reason returns the verdict as it stands in log lines.
func (v verdict) reason() string {
	switch v {
	case noCredentials:
		return "no credentials"
	case wrongCredentials:
		return "wrong credentials"
	case missingRight:
		return "missing right"
	case busy:
		return "too many passwords to verify"
	default:
		return "none"
	}
}

// Load returns a Guard with the rights of a file, or nil if path is empty: no
// file, no restrictions. The error of a file with mistakes holds a
// *jsonfile.ReportError with the place of each; doubtful things are logged.
func Load(path string, logger *slog.Logger) (*Guard, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // a nil Guard is one without restrictions
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	g := &Guard{path: path, log: logger, slots: make(chan struct{}, max(1, min(4, runtime.GOMAXPROCS(0)/4)))}
	_, _ = rand.Read(g.key[:]) // never fails, says its documentation
	g.watch = watch.Watch{Files: []string{path}, Apply: g.apply, Reject: g.reject}
	if err := g.watch.Load(); err != nil {
		return nil, fmt.Errorf("loading access rights: %w", err)
	}
	return g, nil
}

// apply takes the rights of a new file into use. Requests that are being
// checked end with the old ones.
func (g *Guard) apply(contents [][]byte) error {
	var report jsonfile.Report
	rules := parse(g.path, contents[0], &report)
	if err := report.Err(); err != nil {
		return err
	}
	g.logProblems(&report)
	g.rules.Store(rules)
	g.log.Info("access rights loaded", "file", g.path, "users", len(rules.users), "anonymous", rules.nobody.rights.String())
	if info, err := os.Stat(g.path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o006 != 0 {
		g.log.Warn("every user of this machine can read or change the file of access rights; take these permissions away",
			"file", g.path, "mode", fmt.Sprintf("%#o", info.Mode().Perm()))
	}
	return nil
}

// reject logs why a changed file is not used.
func (g *Guard) reject(err error) {
	report, ok := errors.AsType[*jsonfile.ReportError](err)
	if ok {
		g.logProblems(report.Report)
		err = fmt.Errorf("the file has errors: %d", report.Report.Count(jsonfile.Error))
	}
	g.log.Error("error reloading access rights, the old ones stay", "file", g.path, "error", withoutPath(err))
}

// withoutPath returns the error below one that names a file, which stands beside
// it in the line.
func withoutPath(err error) error {
	if bad, ok := errors.AsType[*fs.PathError](err); ok {
		return bad.Err
	}
	return err
}

func (g *Guard) logProblems(report *jsonfile.Report) {
	for i := range report.Problems {
		p := &report.Problems[i]
		level := slog.LevelError
		if p.Severity == jsonfile.Warning {
			level = slog.LevelWarn
		}
		g.log.LogAttrs(context.Background(), level, "access rights",
			slog.String("problem", p.Error()), slog.String("reason", p.Msg))
	}
}

// Run reads the file again within two seconds after its content has changed,
// until the end of ctx. A file with mistakes, or one that has gone, changes
// nothing, and is logged once. It always returns nil.
func (g *Guard) Run(ctx context.Context) error {
	if g == nil {
		<-ctx.Done()
		return nil
	}
	g.watch.Run(ctx, func() {})
	return nil
}

// Reload looks at once whether the file has changed. A nil Guard has none.
func (g *Guard) Reload() {
	if g != nil {
		g.watch.Poll()
	}
}

// Stats says how many requests a Guard has refused since it was made.
type Stats struct {
	// NoCredentials and WrongCredentials got 401, MissingRight 403, and Busy, for
	// which there was no time to verify the password, 503.
	NoCredentials, WrongCredentials, MissingRight, Busy uint64
}

// Stats returns what a Guard has refused.
func (g *Guard) Stats() Stats {
	if g == nil {
		return Stats{}
	}
	return Stats{
		NoCredentials:    g.counts[noCredentials].Load(),
		WrongCredentials: g.counts[wrongCredentials].Load(),
		MissingRight:     g.counts[missingRight].Load(),
		Busy:             g.counts[busy].Load(),
	}
}

// Require returns a handler that passes to next the requests of callers that
// have a right, or several if right is a set. It answers
//
//   - 401 with WWW-Authenticate if the credentials are wrong, or if there are
//     none and callers without any do not have the right;
//   - 403, and the name of what is missing, if the user does not have it;
//   - 503 with Retry-After if too many passwords are being verified.
//
// User tells next who asks, except where right is Intake alone: there it would
// cost more than the check, and Client has to do.
func (g *Guard) Require(right Right, next http.Handler) http.Handler {
	if g == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rules := g.rules.Load()
		a, v := g.identify(r, rules)
		if v == admitted && a.rights&right != right {
			v = missingRight
			if a == rules.nobody {
				v = noCredentials
			}
		}
		if v != admitted {
			g.refuse(w, r, a, v, right)
			return
		}
		if right != Intake && a != rules.nobody {
			r = r.WithContext(context.WithValue(r.Context(), userKey{}, a.name))
		}
		next.ServeHTTP(w, r)
	})
}

// userKey is the key of the user's name in the context of a request.
type userKey struct{}

// User returns the name of the user that a Guard has found behind a request, ""
// if there are no restrictions or the caller gave no credentials.
func User(r *http.Request) string {
	name, _ := r.Context().Value(userKey{}).(string)
	return name
}

// identify returns the account behind a request. It is nil if there is none.
func (g *Guard) identify(r *http.Request, rules *rules) (*account, verdict) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return rules.nobody, admitted
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	switch {
	case len(headers) > 1: // whose?
	case strings.EqualFold(scheme, "Bearer"):
		if a := rules.byToken(strings.Trim(token, " ")); a != nil {
			return a, admitted
		}
	case strings.EqualFold(scheme, "Basic"):
		if name, password, ok := r.BasicAuth(); ok {
			return g.basic(r.Context(), rules, name, password)
		}
	}
	return nil, wrongCredentials
}

// byToken returns the account of a token, or nil. How long the look-up takes can
// tell something about the digest at most, of which the token cannot be found.
func (r *rules) byToken(token string) *account {
	if len(token) > maxSecret {
		return nil
	}
	var text [maxSecret]byte // a conversion would allocate
	return r.tokens[sha256.Sum256(text[:copy(text[:], token)])]
}

// basic returns the account of a name with its password or one of its tokens.
// The account of wrong credentials is nil.
func (g *Guard) basic(ctx context.Context, rules *rules, name, password string) (*account, verdict) {
	if password == "" || len(password) > maxSecret {
		return nil, wrongCredentials
	}
	a := rules.users[name]
	if owner := rules.byToken(password); owner != nil && owner == a {
		return a, admitted
	}
	if v := g.verify(ctx, rules, a, password); v != admitted {
		return nil, v
	}
	return a, admitted
}

// verify holds a password against that of an account, which may be nil or have
// none. A password that was right before is known by its keyed digest: senders
// give it with every request.
func (g *Guard) verify(ctx context.Context, rules *rules, a *account, password string) verdict {
	sum := g.digest(password)
	hash := rules.decoy
	exists := a != nil && a.password != nil
	if exists {
		hash = a.password
		if a.remembers(sum) {
			return admitted
		}
	}
	if hash == nil {
		return wrongCredentials
	}
	if !g.acquire(ctx) {
		return busy
	}
	defer func() { <-g.slots }()
	switch {
	case exists && a.remembers(sum): // another request of the same sender was faster
		return admitted
	case hash.matches(password) && exists:
		a.verified.Store(&sum)
		return admitted
	}
	return wrongCredentials
}

// digest returns the keyed digest of a password.
func (g *Guard) digest(password string) digest {
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write([]byte(password))
	return digest(mac.Sum(nil))
}

// remembers reports whether this is the password that was right before.
func (a *account) remembers(sum digest) bool {
	known := a.verified.Load()
	return known != nil && subtle.ConstantTimeCompare(known[:], sum[:]) == 1
}

// acquire waits until a password may be verified. It gives up when too many are
// waiting, after maxWait, or when the client has gone.
func (g *Guard) acquire(ctx context.Context) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > maxWaiting {
		return false
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// refuse counts and answers a request that is not admitted.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, a *account, v verdict, right Right) {
	g.counts[v].Add(1)
	g.logRefused(r, a, v, right)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch v {
	case missingRight:
		http.Error(w, "the right "+(right&^a.rights).String()+" is missing", http.StatusForbidden)
	case busy:
		h.Set("Retry-After", "1")
		http.Error(w, "too many passwords are being verified, try again", http.StatusServiceUnavailable)
	default:
		challenge := `Bearer realm="dsiem"`
		if v == wrongCredentials {
			challenge += `, error="invalid_token"`
		}
		h["Www-Authenticate"] = []string{challenge, `Basic realm="dsiem", charset="UTF-8"`}
		http.Error(w, v.reason(), http.StatusUnauthorized)
	}
}

// logRefused logs a request that is not admitted, or counts it for the next line
// if there was one of its kind a moment ago.
func (g *Guard) logRefused(r *http.Request, a *account, v verdict, right Right) {
	if !g.told[v].Allow(time.Now()) {
		return
	}
	var user string
	if a != nil {
		user = a.name
	} else {
		user, _, _ = r.BasicAuth()
	}
	g.log.Warn("request refused", "reason", v.reason(), "peer", r.RemoteAddr, "user", clip(user), "right", right.String(),
		"method", clip(r.Method), "path", clip(r.URL.Path), "not_shown", g.told[v].LeftOut())
}

// clip returns the beginning of a text that a caller chose.
func clip(chosen string) string { return text.ClipRunes(chosen, 80) }
