package acceptance

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// goesOn is the exit code of a mistake that does not end the program.
const goesOn = -1

// mistake is one that operators make.
type mistake struct {
	setup
	// args replace the command line of the setup; CONFIGS stands for a good
	// configuration.
	args []string
	code int
	// One line says what is wrong and ends with what to do about it, or with the
	// quotation mark behind it.
	wrong, next string
}

func TestMistakesNameTheNextStep(t *testing.T) {
	t.Parallel()
	for _, all := range []map[string]mistake{mistakesOfFrontends(t), mistakesOfNATS(t), mistakesOfFiles(t), mistakesOfCommandLines()} {
		for name, m := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m.check(t)
			})
		}
	}
}

func (m *mistake) check(t *testing.T) {
	t.Helper()
	h := newHome(t, configs(t, "", takeAll))
	var n *node
	if m.args == nil {
		n = h.start(m.setup)
	} else {
		n = h.call("dsiem", m.env, strings.Split(strings.ReplaceAll(strings.Join(m.args, "\n"), "CONFIGS", h.configs), "\n")...)
	}
	if m.code == goesOn {
		n.says(m.wrong, m.next)
		n.stop()
	} else {
		n.exit(m.code)
	}
	for _, line := range append(n.said(m.wrong), n.err.With(m.wrong)...) {
		message, _, _ := strings.Cut(line, `" `) // the attributes behind it
		if strings.HasSuffix(strings.TrimSuffix(message, `"`), m.next) || strings.HasSuffix(line, m.next) {
			return
		}
	}
	t.Errorf("no line says %q and ends with %q:\n%s", m.wrong, m.next, n.written())
}

// mistakesOfFrontends are those about the frontend of a backend.
func mistakesOfFrontends(t *testing.T) map[string]mistake {
	t.Helper()
	answer := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	start := func(server *httptest.Server, tls bool) string {
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		if tls {
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		return server.URL
	}
	plain := start(httptest.NewUnstartedServer(answer(http.StatusUnauthorized)), false)
	encrypted := start(httptest.NewUnstartedServer(answer(http.StatusUnauthorized)), true)
	forbidden := start(httptest.NewUnstartedServer(answer(http.StatusForbidden)), false)
	broken := start(httptest.NewUnstartedServer(answer(http.StatusInternalServerError)), false)
	elsewhere := start(httptest.NewUnstartedServer(answer(http.StatusNotFound)), false)
	moved := start(httptest.NewUnstartedServer(answer(http.StatusFound)), false)
	of := func(url, wrong, next string) mistake {
		return mistake{setup: setup{flags: []string{"--frontend=" + url}}, code: goesOn, wrong: wrong, next: next}
	}
	return map[string]mistake{
		"password for the frontend": of(plain, "status 401 Unauthorized",
			"put a name and a password or token that the frontend knows into --frontend, as in http://NAME:TOKEN@HOST:PORT"),
		"right at the frontend":   of(forbidden, "status 403 Forbidden", "give the user the right config-read at the frontend"),
		"frontend with TLS":       of(strings.Replace(encrypted, "https:", "http:", 1), "status 400 Bad Request", "if the frontend has a certificate, write https:// in --frontend"),
		"frontend without TLS":    of(strings.Replace(plain, "http:", "https:", 1), "HTTP response to HTTPS client", "write http:// in --frontend"),
		"authority of a frontend": of(encrypted, "unknown authority", "as with the variable SSL_CERT_FILE, or correct the name in --frontend"),
		"frontend is down":        of("http://127.0.0.1:1", "connection refused", "start the frontend, or correct --frontend"),
		"frontend fails":          of(broken, "status 500", "the log of the frontend says why"),
		"not a frontend":          of(elsewhere, "status 404", "correct the address in --frontend"),
		"frontend redirects":      of(moved, "status 302", "redirects are not followed, so give the address that it leads to"),
		"URL of a frontend": {
			setup: setup{flags: []string{"--frontend=ftp://127.0.0.1"}}, code: 1,
			wrong: "downloading config", next: "the frontend's URL must begin with http:// or https://",
		},
	}
}

// mistakesOfNATS are those about the message queue.
func mistakesOfNATS(t *testing.T) map[string]mistake {
	t.Helper()
	plain := startNATS(t)
	guarded := natstest.Start(t, natstest.Options{User: "u", Password: "p"})
	encrypted := natstest.Start(t, natstest.Options{TLS: true})
	const credentials = "put the right user and password into --msq or DSIEM_MSQ, or use --nats-creds or --nats-nkey"
	of := func(url, wrong, next string) mistake {
		return mistake{setup: setup{nats: url}, code: goesOn, wrong: wrong, next: next}
	}
	return map[string]mistake{
		"NATS is down":      of("nats://127.0.0.1:1", "connection refused", "start the NATS server, or correct --msq"),
		"password for NATS": of("nats://u:wrong@"+guarded.Address(), "uthorization", credentials),
		"no user for NATS":  of("nats://"+guarded.Address(), "uthorization", credentials),
		"NATS without TLS":  of("tls://"+plain.Address(), "error from message queue", "the server speaks no TLS: write nats:// in --msq, or give the server a certificate"),
		"authority of NATS": of("tls://"+encrypted.Address(), "unknown authority", "name the certificate of its authority with --nats-ca"),
		"URL of NATS": {
			setup: setup{nats: "http://127.0.0.1:1"}, code: 1,
			wrong: "neither nats:// nor tls://", next: "write nats://HOST:4222 in --msq",
		},
	}
}

// mistakesOfFiles are those about files, folders and ports of this machine.
func mistakesOfFiles(t *testing.T) map[string]mistake {
	t.Helper()
	var network net.ListenConfig
	port, err := network.Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	t.Cleanup(func() { testkit.Check(t, port.Close()) })
	dir := t.TempDir()
	file, used, folder := filepath.Join(dir, "file"), filepath.Join(dir, "used"), filepath.Join(dir, "folder")
	testkit.Check(t, os.WriteFile(file, []byte("no JSON\n"), 0o600))
	testkit.Check(t, os.MkdirAll(filepath.Join(folder, alarmsName), 0o750))
	newHome(t, configs(t, "", takeAll)).startReady(setup{role: standaloneRole, flags: []string{"--log-dir=" + used}})
	of := func(flag, wrong, next string) mistake {
		return mistake{setup: setup{role: standaloneRole, flags: []string{flag}}, code: 1, wrong: wrong, next: next}
	}
	_, number, err := net.SplitHostPort(port.Addr().String())
	testkit.Check(t, err)
	return map[string]mistake{
		"port in use":         of("--port="+number, "address already in use", "end the program that has it, or choose another one with --address and --port"),
		"foreign address":     of("--address=192.0.2.1", "cannot assign", "choose an address of this machine with --address and --port"),
		"metrics port in use": of("--metrics-address="+port.Addr().String(), "address already in use", "end the program that has it, or choose another one with --metrics-address"),
		"log directory":       of("--log-dir="+file, "opening the log directory", "name a directory that this user may write to with --log-dir"),
		"log directory used":  of("--log-dir="+used, "another node is using the log directory", "give each node its own with --log-dir"),
		"folder for a file":   of("--log-dir="+folder, "opening the alarm files", "make room for them in the log directory, or let this user write there"),
		"file for a folder":   of("--config-dir="+file, "not a directory", "name a directory that this user may read"),
		"no configuration":    of("--config-dir="+used, "cannot load any asset", "put your networks into assets_*.json of the configuration directory"),
		"no rights":           of("--auth-file="+file+"x", "no such file", "correct the name in --auth-file"),
		"bad rights":          of("--auth-file="+file, "not valid JSON", "something follows the end of the JSON value; remove it"),
		"no certificate": {
			setup: setup{role: standaloneRole, flags: []string{"--tls-cert=" + file + "x", "--tls-key=" + file}}, code: 1,
			wrong: "no such file", next: "correct the name in --tls-cert or --tls-key",
		},
		"no events": {args: []string{"replay", "--config=CONFIGS", "--out=" + dir, file + "x"}, code: 1, wrong: "no such file", next: "correct the name"},
		"no folder": {args: []string{"validate", "--config=" + file + "x"}, code: 1, wrong: "no such file", next: "put assets_*.json and directives_*.json into it"},
		"folder of events": {
			args: []string{"replay", "--config=CONFIGS", "--out=" + dir, folder}, code: 1,
			wrong: "is a directory", next: "name the files in it",
		},
	}
}

// mistakesOfCommandLines are those that only the command line knows.
func mistakesOfCommandLines() map[string]mistake {
	of := func(wrong, next string, args ...string) mistake {
		return mistake{args: args, code: 2, wrong: wrong, next: next}
	}
	return map[string]mistake{
		"flag":           of("unknown flag --prot", "did you mean --port?", "serve", "--prot=80"),
		"command":        of("unexpected argument serv,", `did you mean "serve"?`, "serv"),
		"number":         of("--max-eps", "use a whole number, at least 0", "serve", "--max-eps=many"),
		"duration":       of("--hold-duration", "use a number of seconds, at least 1, or a duration like 1m30s", "serve", "--hold-duration=5x"),
		"size":           of("--max-body", "use a size from 1KiB to 1GiB, like 512KiB or 10MiB", "serve", "--max-body=10 parsecs"),
		"level":          of("--log-level", "use error, warn, info, debug or trace", "serve", "--log-level=loud"),
		"no node":        of("--node is missing", "use --node=NAME or DSIEM_NODE=NAME", "serve", "--mode=cluster-frontend"),
		"no frontend":    of("--frontend is missing", "or --frontend=file: for the files that are there", "serve", "--mode=cluster-backend", "--node=n"),
		"half of a pair": of("--tls-cert and --tls-key belong together", "use both or none", "serve", "--tls-cert=x"),
		"variable": {
			setup: setup{role: standaloneRole, env: []string{"DSIEM_MAX_ESP=5"}}, code: goesOn,
			wrong: "unknown environment variable", next: `did_you_mean="DSIEM_MAXEPS"`,
		},
	}
}
