package confdist_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

// A redirect is no answer, to another host or to the same: credentials go nowhere
// else, in no header either, and the files come from whom the operator named.
func TestARedirectIsNotFollowed(t *testing.T) {
	for _, path := range []string{"/config/", "/config/assets_a.json"} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				t.Errorf("another host was asked for %s, with %v", r.URL, r.Header)
				_, _ = w.Write([]byte("{}"))
			}))
			f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Referer") != "" || r.URL.Path == "/here" {
					t.Errorf("asked for %s with %v", r.URL, r.Header)
				}
				if r.URL.Path != path {
					return false
				}
				to := other.URL
				if status == http.StatusFound {
					to = "/here"
				}
				http.Redirect(w, r, to, status)
				return true
			}
			dir := t.TempDir()
			o, log := options(f, dir)
			o.Frontend = strings.Replace(f.URL, "://", "://n0body:s3cret@", 1) + "/?key=t0ken"
			o.GiveUp = 1
			mustFail(t.Context(), t, o, fmt.Sprintf("%s: the frontend answers with status %d %s; redirects are not followed", path, status, http.StatusText(status)))
			testkit.Equal(t, content(t, dir), map[string]string{})
			for _, secret := range []string{"n0body", "s3cret", "t0ken"} {
				if lines := log.With(secret); len(lines) > 0 {
					t.Errorf("the log shows a secret: %q", lines)
				}
			}
			other.Close()
		}
	}
}

// Whatever a frontend sends back, the request that it answers among it, no credential
// comes into an error or the log.
func TestErrorsOfDownloadsShowNoCredentials(t *testing.T) {
	say := func(w http.ResponseWriter, text string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	}
	echo := func(r *http.Request) string { return r.RequestURI + " " + r.Header.Get("Authorization") }
	for name, answer := range map[string]http.HandlerFunc{
		"no HTTP":    func(w http.ResponseWriter, r *http.Request) { say(w, "GET "+echo(r)+"\r\n\r\n") },
		"bad header": func(w http.ResponseWriter, r *http.Request) { say(w, "HTTP/1.1 200 OK\r\n"+echo(r)+"\r\n\r\n") },
		"bad redirect": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 302 Found\r\nLocation: http://%zz/"+echo(r)+"\r\n\r\n")
		},
		"bad chunks": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+echo(r)+"\r\n")
		},
		"endless head": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat(echo(r), 1<<14))
		},
		"no list": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"files":%q}`, echo(r)) },
		"other list": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"files":[{"filename":{%q:%q}}]}`, echo(r), echo(r))
		},
		"bad JSON": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{%q:{%q:[}}`, echo(r), echo(r)) },
	} {
		for _, path := range []string{"/config/", "/config/assets_a.json"} {
			f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					answer(w, r)
				}
				return r.URL.Path == path
			}
			o, log := options(f, t.TempDir())
			o.Frontend = strings.Replace(f.URL, "://", "://n0body:s3cret@", 1) + "/?key=t0ken"
			o.GiveUp = 1
			_, err := confdist.Download(t.Context(), o)
			if isList := strings.HasSuffix(name, "list"); err == nil && (!isList || path == "/config/") {
				t.Errorf("%s, %s: the download succeeded", name, path)
			}
			for _, secret := range []string{"n0body", "s3cret", "t0ken", "bjBib2R5OnMzY3JldA=="} {
				if text := fmt.Sprint(err, log); strings.Contains(text, secret) {
					t.Errorf("%s, %s: a secret is shown: %s", name, path, text)
				}
			}
		}
	}
}

// A body without end costs no more than one of the largest size.
func TestABodyWithoutEnd(t *testing.T) {
	for path, limit := range map[string]string{"/config/": "16777216", "/config/assets_a.json": "1048576"} {
		f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
		f.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			for text := []byte(strings.Repeat(" ", 1<<16)); r.Context().Err() == nil; {
				if _, err := w.Write(text); err != nil {
					break
				}
			}
			return true
		}
		dir := t.TempDir()
		o, _ := options(f, dir)
		o.MaxFileSize, o.GiveUp = 1<<20, 1
		mustFail(t.Context(), t, o, "the answer is larger than "+limit+" bytes")
		testkit.Equal(t, content(t, dir), map[string]string{})
	}
}

// All files together have a bound, too.
func TestFilesThatAreTooLargeTogether(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": `{"a":1}`, "assets_b.json": `{"b":1}`})
	dir := t.TempDir()
	o, _ := options(f, dir)
	o.MaxSize = 13
	mustFail(t.Context(), t, o, "the files together are larger than 13 bytes")
	testkit.Equal(t, content(t, dir), map[string]string{})
	o.MaxSize++
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), f.files)
}

// A list of very many files is refused before any of them is asked for; those for
// other nodes do not count.
func TestVeryManyFiles(t *testing.T) {
	f := newFrontend(t, nil)
	names := func(form string) (all []string) {
		for i := range 100_000 {
			all = append(all, fmt.Sprintf(form, i))
		}
		return all
	}
	f.listed = names("directives_dsiem-backend-1_%d.json")
	dir := t.TempDir()
	write(t, dir, "assets_old.json", "{}")
	o, _ := options(f, dir)
	o.GiveUp = 1
	mustFail(t.Context(), t, o, "the frontend has 100000 files for this node, more than 10000")
	testkit.Equal(t, f.asked(), []string{"/config/"})
	testkit.Equal(t, content(t, dir), map[string]string{"assets_old.json": "{}"})

	f.set(func(f *frontend) {
		f.listed, f.files = append(names("directives_other_%d.json"), "assets_a.json"), map[string]string{"assets_a.json": "{}"}
	})
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), map[string]string{"assets_old.json": "{}", "assets_a.json": "{}"})
}

// trickle is a body that never ends, of which a byte comes every nine seconds.
type trickle struct{}

func (trickle) Read(p []byte) (int, error) {
	<-time.After(9 * time.Second)
	p[0] = ' '
	return 1, nil
}

// A frontend that never stops sending, and is never silent for long, ends an attempt
// after ten minutes.
func TestABodyThatTrickles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		mustFail(t.Context(), t, confdist.Options{
			Frontend: "http://frontend:8080", Node: "b0", Dir: t.TempDir(),
			Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: readUntil(r, trickle{})}, nil
			})},
		}, "http://frontend:8080/config/: not everything arrived within 10m0s")
		if took := time.Since(start); took < 10*time.Minute || took > 10*time.Minute+9*time.Second {
			t.Errorf("it gave up after %v", took)
		}
	})
}

// readUntil returns a body that ends with an error when its request does, as those of
// net/http do.
func readUntil(r *http.Request, from io.Reader) io.ReadCloser { return &requested{r, from} }

type requested struct {
	request *http.Request
	from    io.Reader
}

func (b *requested) Read(p []byte) (int, error) {
	if err := b.request.Context().Err(); err != nil {
		return 0, err
	}
	return b.from.Read(p)
}

func (*requested) Close() error { return nil }
