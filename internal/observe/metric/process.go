package metric

import (
	"regexp"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// RegisterProcess registers what is known about the program itself: version,
// Go runtime and process. Beyond what the collector of the runtime shows by
// default there is what says how much of the CPU time garbage collections take,
// and what lives: the runtime brings these up to date at the end of each
// collection, so they belong together, and are as old as that.
func RegisterProcess(reg prometheus.Registerer, version, revision string) {
	promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name:        "dsiem_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "go_version": runtime.Version()},
	}).Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{
			Matcher: regexp.MustCompile(`^(/cpu/classes/(gc/total|gc/mark/idle|idle|total):cpu-seconds|/gc/heap/live:bytes)$`),
		})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}
