package bus_test

import (
	"net/url"
	"strings"
	"testing"

	"dsiem/internal/bus"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"nats://host:4222":                "nats://host:4222",
		"host:4222":                       "host:4222",
		"tls://host:4222/":                "tls://host:4222/",
		"nats://u:p@host:4222":            "nats://xxxxx@host:4222",
		"nats://token@host:4222":          "nats://xxxxx@host:4222",
		"u:p@host":                        "xxxxx@host",
		"nats://u:p@h1,nats://h2:4222":    "nats://xxxxx@h1,nats://h2:4222",
		"nats://u:p@h1, nats://v:q@h2":    "nats://xxxxx@h1, nats://xxxxx@h2",
		"h1,nats://v:q@h2":                "h1,nats://xxxxx@h2",
		"h1,h2":                           "h1,h2",
		"nats://u:pa,ss@h":                "nats://xxxxx@h",
		"nats://u:12,34@h":                "nats://xxxxx@h",
		"nats://u:p@ss@h":                 "nats://xxxxx@h",
		"nats://u:p/q?r#s@h":              "nats://xxxxx@h",
		"nats://u:a://b@h":                "nats://xxxxx@h",
		"nats://u:%zz@h":                  "nats://xxxxx@h",
		"http://frontend:8080/x?key=abc":  "http://frontend:8080/x?xxxxx",
		"https://u:p@frontend/?a=b&c=d#e": "https://xxxxx@frontend/?xxxxx",
	} {
		if got := bus.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("us3r", "p@ss,w:rd", "h1,nats://h2")
	f.Add("", ",nats://", "")
	f.Fuzz(func(t *testing.T, user, password, rest string) {
		secret := "s3cr3t" + strings.NewReplacer(",", "%2C").Replace(url.UserPassword(user, password).String())
		if got := bus.Redact("nats://h0,tls://" + secret + "@h1" + rest); strings.Contains(got, "s3cr3t") {
			t.Errorf("%q shows", got)
		}
	})
}
