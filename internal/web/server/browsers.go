package server

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/log"
	"dsiem/internal/observe/metric"
	"dsiem/internal/text"
)

// maxShownHost is how much of a Host header is shown, in characters.
const maxShownHost = 80

// Browsers refuses what pages of others make a browser send to a node. Requests
// of programs, as curl, Logstash and other nodes, pass: they have none of the
// headers by which a browser is known. It is safe for concurrent use.
//
// Two ways lead from a foreign page to a node. The page may send requests to the
// node's address, which change something or carry the browser's credentials. Or
// the page's own name is made to point to the node (DNS rebinding): then page and
// node are one site to the browser, and only the Host header tells who is meant.
type Browsers struct {
	names   map[string]bool
	origins *http.CrossOriginProtection
	log     *slog.Logger
	hosts   refusals
	sites   refusals
}

// refusals are requests refused for one reason.
type refusals struct {
	count atomic.Uint64
	told  log.Limit // of log lines
}

// NewBrowsers returns a Browsers for a node that browsers know by these names,
// beside those that nobody elsewhere can own, see Protect. A nil logger is
// silence.
func NewBrowsers(names []string, logger *slog.Logger) *Browsers {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	b := &Browsers{names: map[string]bool{}, origins: http.NewCrossOriginProtection(), log: logger}
	if own, err := os.Hostname(); err == nil {
		b.names[canonicalHost(own)] = true
	}
	for _, name := range names {
		b.names[canonicalHost(name)] = true
	}
	return b
}

// Protect returns a handler that passes to next what programs send, and what
// browsers send for pages of this node. It answers 403 to a browser's request
//
//   - whose Host is a name that somebody elsewhere may own: anything but an IP
//     address, a name without a dot, one below local, internal or lan, one of a
//     service in Kubernetes (svc), the machine's own, and the names of NewBrowsers;
//   - that a page of another site has made, except GET, HEAD and OPTIONS, which
//     must not change anything.
//
// Credentials do not help here: browsers send those of basic authentication
// along. Over plain HTTP the Origin must name the host of the request, so a proxy
// in front of the node has to pass the Host header on.
func (b *Browsers) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.knows(r.Host) && fromBrowser(r.Header) {
			b.refuse(w, r, &b.hosts, "a browser may not ask this node under this host name; if it is the node's, give it in --host-names")
			return
		}
		if b.origins.Check(r) != nil {
			b.refuse(w, r, &b.sites, "the request comes from a page of another site; a proxy in between must keep the Host header")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse counts, logs and answers.
func (b *Browsers) refuse(w http.ResponseWriter, r *http.Request, why *refusals, reason string) {
	why.count.Add(1)
	if why.told.Allow(time.Now()) {
		b.log.Warn("request of a browser refused", "reason", reason, "host", text.ClipRunes(r.Host, maxShownHost),
			"peer", r.RemoteAddr, "method", text.ClipRunes(r.Method, maxShownHost), "path", text.ClipRunes(r.URL.Path, maxShownHost),
			"not_shown", why.told.LeftOut())
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, reason, http.StatusForbidden)
}

// fromBrowser reports whether a request has what a browser puts into each that a
// page can make it send. Over plain HTTP, and if the page asks for no Referer,
// that is Accept-Language alone, which a script can change but not take away.
func fromBrowser(h http.Header) bool {
	for _, name := range []string{"Origin", "Referer", "Sec-Fetch-Site"} {
		if _, found := h[name]; found {
			return true
		}
	}
	_, language := h["Accept-Language"]
	// fetch of Node.js sends Sec-Fetch-Mode alone, which no browser does, and no
	// script in one can: there they all come together.
	_, program := h["Sec-Fetch-Mode"]
	return language && !program
}

// knows reports whether a Host header has a name under which only this node, or
// another machine of its owner, can be found.
func (b *Browsers) knows(header string) bool {
	host := canonicalHost(header)
	if isAddress(host) || !strings.Contains(host, ".") || b.names[host] {
		return true
	}
	for _, ours := range []string{".local", ".internal", ".lan", ".svc"} { // svc.cluster.local is local
		if strings.HasSuffix(host, ours) {
			return true
		}
	}
	return false
}

// canonicalHost returns the host of a Host header without its port and the dot of
// the root, in small letters.
func canonicalHost(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header // it has no port
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// isAddress reports whether a host is an IP address. The zone of one, which the
// URL has behind %25, may be anything.
func isAddress(host string) bool {
	ip, _, _ := strings.Cut(host, "%")
	_, err := netip.ParseAddr(ip)
	return err == nil
}

// Register registers the counters of refused requests.
func (b *Browsers) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(func() *Browsers { return b })
	add := s.Counters("dsiem_http_browser_refused_total", "Requests of browsers refused because of a foreign page, by reason.", "reason")
	add("host_name", func(b *Browsers) uint64 { return b.hosts.count.Load() })
	add("other_site", func(b *Browsers) uint64 { return b.sites.count.Load() })
	reg.MustRegister(s)
}
