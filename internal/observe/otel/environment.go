package otel

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// checkEnvironment reports what is wrong with the variables of the OpenTelemetry
// library that may hold secrets. The library itself would write their values to
// stderr and go on without them. Errors name the variable, never the value.
func checkEnvironment() error {
	var errs []error
	for _, signal := range []string{"", "TRACES_", "METRICS_"} {
		name := "OTEL_EXPORTER_OTLP_" + signal + "HEADERS"
		if err := checkHeaders(os.Getenv(name)); err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", name, err))
		}
		name = "OTEL_EXPORTER_OTLP_" + signal + "ENDPOINT"
		if _, err := url.Parse(strings.TrimSpace(os.Getenv(name))); err != nil {
			errs = append(errs, fmt.Errorf("reading %s: it is no URL, and not used: unset it", name))
		}
	}
	return errors.Join(errs...)
}

// checkHeaders checks a list of headers, as in "api-key=abc,other=d%20e".
func checkHeaders(list string) error {
	if strings.TrimSpace(list) == "" {
		return nil
	}
	number := 0
	for header := range strings.SplitSeq(list, ",") {
		number++
		name, escaped, found := strings.Cut(header, "=")
		value, err := url.PathUnescape(escaped)
		if !found || err != nil || !isHeaderName(strings.TrimSpace(name)) || !isHeaderValue(strings.TrimSpace(value)) {
			return fmt.Errorf("header %d is not name=value with a percent-encoded value", number)
		}
	}
	return nil
}

// isHeaderName reports whether a name is one that gRPC can send.
func isHeaderName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" &&
		!strings.HasPrefix(strings.ToLower(name), "grpc-")
}

// isHeaderValue reports whether a value is one that gRPC can send.
func isHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}
