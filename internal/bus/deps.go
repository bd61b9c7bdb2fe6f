package bus

import (
	_ "github.com/cenkalti/backoff/v5"
	_ "github.com/jellydator/ttlcache/v3"
	_ "github.com/nats-io/nats-server/v2/server"
	_ "github.com/nats-io/nats.go"
	_ "github.com/nats-io/nkeys"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/sony/gobreaker/v2"
	_ "golang.org/x/time/rate"
)
