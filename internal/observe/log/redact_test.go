package log_test

import (
	"net/url"
	"strings"
	"testing"

	"dsiem/internal/observe/log"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"nats://dsiem-nats:4222":          "nats://dsiem-nats:4222",
		"host:4222":                       "host:4222",
		"tls://host:4222/":                "tls://host:4222/",
		"http://frontend:8080/":           "http://frontend:8080/",
		"nats://u:p@h:4222":               "nats://***@h:4222",
		"nats://token@h":                  "nats://***@h",
		"u:p@h:4222":                      "***@h:4222",
		"nats://u:p@a,nats://b":           "nats://***@a,nats://b",
		"nats://a, tls://u:p@b:1":         "nats://a, tls://***@b:1",
		"nats://u:p@h1, nats://v:q@h2":    "nats://***@h1, nats://***@h2",
		"nats://a,u:p@b":                  "nats://***@b",
		"h1,nats://v:q@h2":                "h1,nats://***@h2",
		"h1,h2":                           "h1,h2",
		"nats://u:p/w@a":                  "nats://***@a",
		"nats://u:p,w@a":                  "nats://***@a",
		"nats://u:12,34@h":                "nats://***@h",
		"nats://u:p@w@a":                  "nats://***@a",
		"nats://u:p/q?r#s@h":              "nats://***@h",
		"nats://u:x://w@a":                "nats://***@a",
		"nats://u:x w://y@a":              "nats://***@a",
		"nats://u:%zz@h":                  "nats://***@h",
		"http://frontend:8080/x?key=abc":  "http://frontend:8080/x?***",
		"https://u:p@frontend/?a=b&c=d#e": "https://***@frontend/?***",
		"frontend/?a=b c":                 "frontend/?***",
		"from http://u:p@h to x":          "from http://***@h to x",
		"from http://u:p@h to nats://v@k": "from http://***@k",
		"u:p@h http://k":                  "***@h http://k",
		"to a, nats://u:p@h,http://k?a":   "to a, nats://***@h,http://k?***",
	} {
		if got := log.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("us3r", "p@ss,w:rd", "h1,nats://h2")
	f.Add("", ",nats://", "")
	f.Fuzz(func(t *testing.T, user, password, rest string) {
		secret := "s3cr3t" + strings.NewReplacer(",", "%2C").Replace(url.UserPassword(user, password).String())
		if got := log.Redact("nats://h0,tls://" + secret + "@h1" + rest); strings.Contains(got, "s3cr3t") {
			t.Errorf("%q shows", got)
		}
	})
}
