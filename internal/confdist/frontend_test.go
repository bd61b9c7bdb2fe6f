package confdist_test

import (
	"net/http"
	"strings"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestWithoutFrontendNothingIsDownloaded(t *testing.T) {
	for _, frontend := range []string{"", " ", "file:", "file:///etc/dsiem", "FILE:configs"} {
		dir := t.TempDir()
		result := mustDownload(t, confdist.Options{Frontend: frontend, Node: "b0", Dir: dir})
		testkit.Equal(t, result, confdist.Result{Skipped: true})
		testkit.Equal(t, content(t, dir), map[string]string{})
	}
}

func TestAFrontendURLThatCannotWorkIsAnErrorAtOnce(t *testing.T) {
	for frontend, want := range map[string]string{
		"frontend:8080":                "must begin with http:// or https://",
		"nats://frontend:8080":         "must begin with http:// or https://",
		"http://":                      "has no host",
		"http://:8080":                 "has no host",
		"http://u:s3cret#pass@h:80%zz": "malformed",
		"http://u:s3c/ret@h":           "malformed",
		"http://u:s3cret@h o":          "malformed",
	} {
		_, err := confdist.Download(t.Context(), confdist.Options{Frontend: frontend, Node: "b0", Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: got error %v, want one with %q", frontend, err, want)
		}
	}
	for _, o := range []confdist.Options{{Dir: t.TempDir()}, {Node: "b0"}} {
		o.Frontend = "http://frontend:8080"
		if _, err := confdist.Download(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no name or no folder") {
			t.Errorf("got error %v", err)
		}
	}
}

func TestCredentialsAreUsedAndNeverShown(t *testing.T) {
	const secrets = "n0body:s3cret"
	for name, answer := range map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"break":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"malformed redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+secrets+"@%zz/?key=t0ken", http.StatusFound)
		},
		"circle": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+secrets+"@"+r.Host+r.URL.String(), http.StatusFound)
		},
		"none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFrontend(t, map[string]string{"assets_a.json": "{}", "intel_a.json": "{}"})
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if user, password, _ := r.BasicAuth(); user+":"+password != secrets || r.URL.Query().Get("key") != "t0ken" {
					t.Errorf("request without credentials: %s", r.URL)
				}
				if answer == nil || r.URL.Path != "/config/intel_a.json" {
					return false
				}
				answer(w, r)
				return true
			}
			o, log := options(f, t.TempDir())
			o.Frontend = strings.Replace(f.URL, "http://", "http://"+secrets+"@", 1) + "/?key=t0ken"
			_, err := confdist.Download(t.Context(), o)
			if (err == nil) != (answer == nil) {
				t.Errorf("got error %v", err)
			}
			for _, secret := range []string{"n0body", "s3cret", "t0ken"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
				if lines := log.With(secret); len(lines) > 0 {
					t.Errorf("the log shows a secret: %q", lines)
				}
			}
		})
	}
}
