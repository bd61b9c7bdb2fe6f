package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	words "dsiem/internal/text"
)

// maxAnswer is how much of a node's answer is read, in bytes.
const maxAnswer = 16 << 10

// healthcheck holds the settings of the command: where the node serves, as serve
// has it, and how to ask.
type healthcheck struct {
	settings
	live    bool
	timeout time.Duration
}

// healthcheckTable has those options of serve that say where a node serves, so
// that a container needs no others than its node has.
func healthcheckTable(p program, h *healthcheck) []group {
	ours := []string{"mode", "address", "port", "tls-cert", "metrics-address", "help"}
	var node []*option
	for o := range options(optionTable(p, &h.settings)) {
		if slices.Contains(ours, o.name) {
			node = append(node, o)
		}
	}
	return []group{
		{"The node, as serve has it", node},
		{"The question", []*option{
			{
				name: "live", value: toggle{&h.live}, def: "false",
				help: "Ask /healthz, whether the node is alive, instead of /readyz, whether it can do its work.",
			},
			{
				name: "timeout", value: span{&h.timeout, time.Second, time.Second}, def: "5",
				help: "How long to wait for the answer.",
			},
		}},
	}
}

// healthcheckHelp is the help of healthcheck.
func healthcheckHelp(p program, groups []group) page {
	return page{
		usage: p.healthcheckUsage(), groups: groups,
		about: "Ask the node on this machine whether it is ready. It is found by the flags and variables\n" +
			"that it was started with, so that a container needs none of its own:\n\n" +
			"  HEALTHCHECK CMD [\"" + p.called + "\", \"healthcheck\"]\n\n" +
			"A node with HTTP is asked there, a backend at its metrics address. Certificates are not\n" +
			"checked at a loopback address.",
		exitCodes: "0 it is, 1 it is not or does not answer, 2 usage",
	}
}

func (p program) healthcheckUsage() string { return "Usage: " + p.called + " healthcheck [flags]" }

// runHealthcheck reads the arguments and the environment of healthcheck, asks
// and says what came back.
func (proc *process) runHealthcheck(ctx context.Context, p program, args []string) error {
	usage := func(problem string) error {
		return &usageError{problem + "\n" + p.healthcheckUsage() + "\nRun " + p.called + " healthcheck --help to see all flags."}
	}
	h := &healthcheck{}
	groups := healthcheckTable(p, h)
	line, err := newFlagIndex(p, groups).parse(args)
	switch {
	case err != nil:
		return usage(err.Error())
	case line.stop != nil:
		return healthcheckHelp(p, groups).write(proc.Out, p)
	case len(line.words) > 1:
		return usage(fmt.Sprintf("unexpected argument %q; healthcheck has flags only", line.words[1]))
	}
	r := resolve(groups, line, newEnvironment(proc.environ))
	if len(r.problems) > 0 {
		return usage(strings.Join(r.problems, "\n"))
	}
	target, err := h.target(r.role)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	answer, err := ask(ctx, target)
	if err != nil {
		return fmt.Errorf("asking %s: %w", target, err)
	}
	fmt.Fprintf(proc.Out, "%s: %s\n", target, answer)
	return nil
}

// target returns the URL to ask.
func (h *healthcheck) target(role roles) (*url.URL, error) {
	target := &url.URL{Scheme: "http", Path: "/readyz"}
	if h.live {
		target.Path = "/healthz"
	}
	host, port := h.HTTP.Address, strconv.Itoa(h.HTTP.Port)
	if role == backendRole {
		if h.MetricsAddress == "" {
			return nil, errors.New("a backend answers at its --metrics-address only, and there is none")
		}
		var err error
		if host, port, err = net.SplitHostPort(h.MetricsAddress); err != nil {
			return nil, fmt.Errorf("reading --metrics-address: %w", err)
		}
	} else if h.HTTP.CertFile != "" {
		target.Scheme = "https"
	}
	if port == "0" || port == "" {
		return nil, errors.New("the node serves at a port that nobody knows before; use another one than 0")
	}
	target.Host = net.JoinHostPort(reachable(host), port)
	return target, nil
}

// reachable returns the address of a node that listens on host: loopback if it
// listens on all addresses.
func reachable(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip == netip.IPv4Unspecified():
		return "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		return "::1"
	}
	return host
}

// ask returns what a node says about itself, an error unless that is good.
func ask(ctx context.Context, target *url.URL) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{
		// The node is here: no proxy knows the way better, and it sends nobody on.
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust(target.Hostname())},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the method and the URL, which we name
		}
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s%s", printable(response.Status), complaint(body))
	}
	return printable(response.Status), nil
}

// trust returns how far to trust the certificate of a host. That of a node at
// loopback names the node's outside address, and nobody else answers there.
func trust(host string) *tls.Config {
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && ip.Unmap().IsLoopback()
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: local} //nolint:gosec // see above
}

// complaint returns what a node that is not ready says, in one line: the checks
// that failed, or the beginning of its answer.
func complaint(body []byte) string {
	var health struct {
		Checks []struct {
			Name, Error string
			Ready       bool
		}
	}
	var failed []string
	if json.Unmarshal(body, &health) == nil {
		for _, c := range health.Checks {
			if !c.Ready {
				failed = append(failed, c.Name+": "+c.Error)
			}
		}
	}
	const most = 200
	text := strings.Join(failed, "; ")
	if text == "" {
		text = words.Clip(body, most)
	}
	if text = strings.TrimSpace(printable(text)); text == "" {
		return ""
	}
	return ": " + text
}
