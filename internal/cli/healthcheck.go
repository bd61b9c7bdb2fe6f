package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"dsiem/internal/cli/options"
	words "dsiem/internal/text"
)

// maxAnswer is how much of a node's answer is read, in bytes.
const maxAnswer = 16 << 10

// runHealthcheck asks as the arguments and the environment of healthcheck say, and
// says what came back.
func (proc *process) runHealthcheck(ctx context.Context, p options.Program, args []string) error {
	q, asked, err := p.Healthcheck(args, proc.environ)
	switch {
	case err != nil:
		return err
	case asked != "":
		return p.HealthcheckHelp(proc.Out)
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	answer, err := ask(ctx, q.Target)
	if err != nil {
		return fmt.Errorf("asking %s: %w", q.Target, err)
	}
	fmt.Fprintf(proc.Out, "%s: %s\n", q.Target, answer)
	return nil
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
		return "", fmt.Errorf("%s%s", options.Printable(response.Status), complaint(body))
	}
	return options.Printable(response.Status), nil
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
	if text = strings.TrimSpace(options.Printable(text)); text == "" {
		return ""
	}
	return ": " + text
}
