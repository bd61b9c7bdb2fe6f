package server

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Register registers the number of connections that are open.
func (l *LimitedListener) Register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dsiem_http_connections", Help: "Clients that are connected.",
	}, func() float64 { return float64(l.Open()) })
}

// otherRoute is the label of requests to routes that were not announced.
const otherRoute = "other"

// requests counts the requests that were answered, by route and status code.
type requests struct {
	desc   *prometheus.Desc
	routes map[string]*answers // never changed
}

// newRequests registers the counters of routes with these names, as "events". A
// name may be given twice.
func newRequests(reg prometheus.Registerer, names []string) *requests {
	m := &requests{
		desc: prometheus.NewDesc("dsiem_http_requests_total",
			"Requests that were answered, by route and status code.", []string{"route", "code"}, nil),
		routes: map[string]*answers{otherRoute: {}},
	}
	for _, name := range names {
		m.routes[name] = &answers{}
	}
	reg.MustRegister(m)
	return m
}

// route returns the counters of a route, those of otherRoute if it was not
// announced. Ask once, not per request.
func (m *requests) route(name string) *answers {
	if route, ok := m.routes[name]; ok {
		return route
	}
	return m.routes[otherRoute]
}

// Describe implements prometheus.Collector.
func (m *requests) Describe(to chan<- *prometheus.Desc) { to <- m.desc }

// Collect implements prometheus.Collector. A code that a route has never
// answered with is left out, except 200.
func (m *requests) Collect(to chan<- prometheus.Metric) {
	for name, route := range m.routes {
		for i := range route.codes {
			n := route.codes[i].Load()
			if n == 0 && i != shownCode {
				continue
			}
			code := "other"
			if i < codes-1 {
				code = strconv.Itoa(i + firstCode)
			}
			to <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(n), name, code)
		}
	}
}

// The status codes that are told apart are those of HTTP, 100 to 599.
const (
	firstCode = 100
	codes     = 500 + 1 // and one for any other number
	shownCode = 200 - firstCode
)

// answers counts the answers of one route. It is safe for concurrent use.
type answers struct{ codes [codes]atomic.Uint64 }

// count counts an answer with a status code.
func (a *answers) count(code int) {
	i := code - firstCode
	if i < 0 || i >= codes {
		i = codes - 1
	}
	a.codes[i].Add(1)
}
