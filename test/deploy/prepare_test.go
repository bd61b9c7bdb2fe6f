//go:build unix

package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// samples are the files of configs-dist in a container of the tests.
var samples = map[string]string{"assets_a.json": `{"assets":[]}`, "directives_a.json": `{"directives":[]}`}

// T62: an empty volume gets configs-dist, except that of a backend, whose
// configuration comes from the frontend.
func TestT62_AnEmptyVolumeIsSeeded(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]map[string]string{
		"": samples, "standalone": samples, "cluster-frontend": samples, "cluster-backend": {},
	} {
		t.Run("mode "+mode, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				env := map[string]string{"DSIEM_MODE": mode}
				box.start(env)
				if diff := cmp.Diff(want, box.files("configs")); diff != "" {
					t.Errorf("configs: want - got +:\n%s", diff)
				}
				again := box.start(env)
				again.wantSaid(t)
				if diff := cmp.Diff(want, box.files("configs")); diff != "" {
					t.Errorf("a second start, configs: want - got +:\n%s", diff)
				}
			})
		})
	}
}

func TestT62_AConfigurationIsNeverTouched(t *testing.T) {
	t.Parallel()
	for name, present := range map[string]map[string]string{
		"one of ours":         {"assets_a.json": "mine"},
		"another":             {"directives_mine.json": "mine", "README": "mine"},
		"broken":              {"assets_broken.json": ""},
		"only the settings":   {"dsiem_config.json": `{"status":[],"tags":[]}`},
		"a name with a blank": {"my assets.json": "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				for file, text := range present {
					box.write("configs/"+file, 0o600, text)
				}
				box.start(nil).wantCall(t, "dsiem", "serve")
				if diff := cmp.Diff(present, box.files("configs")); diff != "" {
					t.Errorf("configs: want - got +:\n%s", diff)
				}
			})
		})
	}
}

// Two containers may share a volume and start at the same time: what one of them
// has put there, the other one leaves alone.
func TestT62_AnotherContainerIsFaster(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.command("mktemp", `echo theirs >"`+box.path("configs/assets_a.json")+`"; mkdir "`+box.path("configs/.seed.x")+`"; echo "`+box.path("configs/.seed.x")+`"`)
		box.start(nil).wantCall(t, "dsiem", "serve")
		want := map[string]string{"assets_a.json": "theirs\n", "directives_a.json": samples["directives_a.json"]}
		if diff := cmp.Diff(want, box.files("configs")); diff != "" {
			t.Errorf("configs: want - got +:\n%s", diff)
		}
	})
}

func TestT62_ALinkToNowhereIsAConfiguration(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		testkit.Check(t, os.Symlink("/mounted/later.json", box.path("configs/assets_a.json")))
		box.start(nil).wantCall(t, "dsiem", "serve")
		if target, err := os.Readlink(box.path("configs/assets_a.json")); err != nil || target != "/mounted/later.json" {
			t.Errorf("the link is %q, %v", target, err)
		}
		entries, err := os.ReadDir(box.path("configs"))
		if err != nil || len(entries) != 1 {
			t.Errorf("%d files, %v", len(entries), err)
		}
	})
}

// Files that are no configuration neither prevent the filling nor are changed.
func TestT62_OtherFilesStay(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.write("configs/notes.txt", 0o644, "mine")
		box.start(nil).wantSaid(t, "INFO dsiem_entrypoint: there was no configuration in "+box.path("configs"))
		want := map[string]string{"notes.txt": "mine"}
		maps.Copy(want, samples)
		if diff := cmp.Diff(want, box.files("configs")); diff != "" {
			t.Errorf("configs: want - got +:\n%s", diff)
		}
	})
}

func TestT62_DirectoriesElsewhereAreSeededThere(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"DSIEM_CONFIG_DIR", "DSIEM_CONFIGDIR", "DSIEM_CONFIGS_DIR", "DSIEM_CONFIGSDIR"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				box.start(map[string]string{variable: box.path("other/configs")})
				if diff := cmp.Diff(samples, box.files("other/configs")); diff != "" {
					t.Errorf("want - got +:\n%s", diff)
				}
				if n := len(box.files("configs")); n != 0 {
					t.Errorf("%d files in the volume that is not used", n)
				}
			})
		})
	}
}

func TestTheRootMayBeElsewhere(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		box.start(map[string]string{"DSIEM_ROOT_DIR": box.path("data"), "DSIEM_WEB_ESURL": "http://a:9200"}).wantCall(t, "dsiem", "serve")
		if diff := cmp.Diff(samples, box.files("data/configs")); diff != "" {
			t.Errorf("want - got +:\n%s", diff)
		}
		if got := box.files("data/web/dist/assets/config"); len(got) != 1 {
			t.Errorf("the web UI has %v", got)
		}
	})
}

// T61, and the other ways to say where Elasticsearch and Kibana are (§7.2).
func TestT61_TheWebUIKnowsElasticsearch(t *testing.T) {
	t.Parallel()
	site := map[string]string{
		"SITE_ID": "7", "SITE_DOMAIN": "example.com", "SITE_PREFIX": "site-",
		"ES_PROTO": "https", "ES_HOSTNAME": "es", "ES_PORT": "9243", "KBN_PROTO": "https", "KBN_HOSTNAME": "kbn", "KBN_PORT": "443",
	}
	with := func(more ...string) map[string]string {
		env := map[string]string{}
		maps.Copy(env, site)
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	const hostile = "http://a:9200/\"},\"x\":{\"\\u0000\n\r\t\x01\x7f</script>$(id)`id`%s\\"
	for name, c := range map[string]struct {
		env                   map[string]string
		elasticsearch, kibana string
		says                  string
	}{
		"both": {
			map[string]string{"DSIEM_WEB_ESURL": "http://a:9200", "DSIEM_WEB_KBNURL": "http://b:5601"},
			"http://a:9200", "http://b:5601", "",
		},
		"only Elasticsearch": {map[string]string{"DSIEM_WEB_ESURL": "http://a:9200"}, "http://a:9200", "http://localhost:5601", ""},
		"only Kibana":        {map[string]string{"DSIEM_WEB_KBNURL": "http://b:5601"}, "http://localhost:9200", "http://b:5601", ""},
		"a site":             {site, "https://es.site-7.example.com:9243", "https://kbn.site-7.example.com:443", ""},
		"a site without a prefix": {
			with("SITE_PREFIX", "", "ES_PORT", "", "ES_PROTO", ""), "http://es.7.example.com:9200", "https://kbn.7.example.com:443", "",
		},
		"URLs win over a site": {
			with("DSIEM_WEB_ESURL", "http://a:9200"), "http://a:9200", "https://kbn.site-7.example.com:443", "",
		},
		"a site without Kibana": {
			with("KBN_HOSTNAME", ""), "https://es.site-7.example.com:9243", "http://localhost:5601", "not KBN_HOSTNAME",
		},
		"hostile values": {
			map[string]string{"DSIEM_WEB_ESURL": hostile, "DSIEM_WEB_KBNURL": hostile}, hostile, hostile, "",
		},
		"a host of another alphabet": {
			map[string]string{"DSIEM_WEB_ESURL": "http://bücher.example:9200/日本"}, "http://bücher.example:9200/日本", "http://localhost:5601", "",
		},
		"a password": {
			map[string]string{"DSIEM_WEB_ESURL": "http://u:hidden@a:9200"}, "http://u:hidden@a:9200", "http://localhost:5601", "whoever can open the web UI",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				box.write("configs/a.json", 0o644, "{}")
				o := box.start(c.env)
				o.wantCall(t, "dsiem", "serve")
				got := box.files("web/dist/assets/config")
				want := map[string]string{"elasticsearch": c.elasticsearch, "kibana": c.kibana}
				var parsed map[string]string
				if err := json.Unmarshal([]byte(got["esconfig.json"]), &parsed); err != nil {
					t.Fatalf("%v: %s", err, got["esconfig.json"])
				}
				if diff := cmp.Diff(want, parsed); diff != "" || len(got) != 1 {
					t.Errorf("%d files, want - got +:\n%s", len(got), diff)
				}
				if c.says == "" {
					o.wantSaid(t)
				} else {
					o.wantSaid(t, c.says)
				}
				if strings.Contains(o.stderr, "hidden") {
					t.Errorf("the password is in the log: %s", o.stderr)
				}
			})
		})
	}
}

// T61: the exact text, and that it follows changed variables.
func TestT61_TheTextOfTheFile(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		box := newContainer(t, shell)
		for _, c := range [][3]string{
			{"http://a:9200", "http://b:5601", `{"elasticsearch":"http://a:9200","kibana":"http://b:5601"}`},
			{"http://c", "http://d", `{"elasticsearch":"http://c","kibana":"http://d"}`},
		} {
			box.start(map[string]string{"DSIEM_WEB_ESURL": c[0], "DSIEM_WEB_KBNURL": c[1]})
			if got := box.files("web/dist/assets/config")["esconfig.json"]; got != c[2]+"\n" {
				t.Errorf("%q, want %q", got, c[2])
			}
		}
	})
}

// A name that is no text in UTF-8 does not hang or break the start.
func TestT61_BytesThatAreNoText(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		for _, locale := range []string{"C", "C.UTF-8"} {
			box := newContainer(t, shell)
			box.start(map[string]string{"DSIEM_WEB_ESURL": "http://\xff\xfe\"", "LC_ALL": locale}).wantCall(t, "dsiem", "serve")
			text := box.files("web/dist/assets/config")["esconfig.json"]
			var parsed map[string]string
			if err := json.Unmarshal([]byte(text), &parsed); err != nil || !strings.HasPrefix(parsed["elasticsearch"], "http://") {
				t.Errorf("%s: %v: %q", locale, err, text)
			}
		}
	})
}

func TestT61_TheFileStaysWithoutVariables(t *testing.T) {
	t.Parallel()
	const name = "web/dist/assets/config/esconfig.json"
	for what, env := range map[string]map[string]string{
		"nothing is set":    nil,
		"an unfinished one": {"SITE_ID": "7"},
		"a backend has no web UI": backendEnv(
			"DSIEM_WEB_ESURL", "http://a:9200"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				box := newContainer(t, shell)
				box.write(name, 0o644, "mine")
				box.start(env)
				if got := readFile(t, box.path(name)); got != "mine" {
					t.Errorf("%s is %q", name, got)
				}
			})
		})
	}
}
