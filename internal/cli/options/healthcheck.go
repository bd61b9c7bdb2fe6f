package options

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Question is whom healthcheck asks, and how long it waits for the answer.
type Question struct {
	Target  *url.URL
	Timeout time.Duration
}

// Healthcheck reads the arguments and the environment of healthcheck. If a flag
// asks for Help there is no question.
func (p Program) Healthcheck(args, environ []string) (q *Question, asked string, err error) {
	usage := func(problem string) error {
		return UsageError(problem + "\n" + p.healthcheckUsage() + "\nRun " + p.Called + " healthcheck --help to see all flags.")
	}
	h := &healthcheck{}
	groups := healthcheckTable(p, h)
	line, err := newFlagIndex(p, groups).parse(args)
	switch {
	case err != nil:
		return nil, "", usage(err.Error())
	case line.stop != nil:
		return nil, line.stop.name, nil
	case len(line.words) > 1:
		return nil, "", usage(fmt.Sprintf("unexpected argument %q; healthcheck has flags only", line.words[1]))
	}
	r := resolve(groups, line, newEnvironment(environ))
	if len(r.problems) > 0 {
		return nil, "", usage(strings.Join(r.problems, "\n"))
	}
	target, err := h.target(r.mode)
	if err != nil {
		return nil, "", err
	}
	return &Question{Target: target, Timeout: h.timeout}, "", nil
}

// HealthcheckHelp writes the help of healthcheck.
func (p Program) HealthcheckHelp(w io.Writer) error {
	return healthcheckHelp(p, healthcheckTable(p, &healthcheck{})).write(w, p)
}

// healthcheck holds the settings of the command: where the node serves, as serve
// has it, and how to ask.
type healthcheck struct {
	settings
	live    bool
	timeout time.Duration
}

// healthcheckTable has those options of serve that say where a node serves, so
// that a container needs no others than its node has.
func healthcheckTable(p Program, h *healthcheck) []group {
	ours := []string{"mode", "address", "port", "tls-cert", "metrics-address", "help"}
	var node []*option
	for o := range each(optionTable(p, &h.settings)) {
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
func healthcheckHelp(p Program, groups []group) page {
	return page{
		usage: p.healthcheckUsage(), groups: groups,
		about: "Ask the node on this machine whether it is ready. It is found by the flags and variables\n" +
			"that it was started with, so that a container needs none of its own:\n\n" +
			"  HEALTHCHECK CMD [\"" + p.Called + "\", \"healthcheck\"]\n\n" +
			"A node with HTTP is asked there, a backend at its metrics address. Certificates are not\n" +
			"checked at a loopback address.",
		exitCodes: "0 it is, 1 it is not or does not answer, 2 usage",
	}
}

func (p Program) healthcheckUsage() string { return "Usage: " + p.Called + " healthcheck [flags]" }

// target returns the URL to ask.
func (h *healthcheck) target(mode modeSet) (*url.URL, error) {
	target := &url.URL{Scheme: "http", Path: "/readyz"}
	if h.live {
		target.Path = "/healthz"
	}
	host, port := h.HTTP.Address, strconv.Itoa(h.HTTP.Port)
	if mode == backendMode {
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
