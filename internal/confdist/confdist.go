// Package confdist distributes configuration files in a cluster: a frontend
// serves those of its folder and, if it may, takes new ones (Server); a backend
// downloads from a frontend what concerns it, before it reads its own folder
// (Download).
//
// A Server owns no file but dsiem_config.json. It reads and writes in its folder
// and nowhere else, changes a file as a whole or not at all, and takes in
// nothing that the engine cannot load.
//
// Download owns what it has downloaded into its folder and keeps a list of it
// there; other files are the operator's, and it does not touch them unless the
// frontend has one of the same name. Nothing is changed before everything has
// arrived and Options.Check has nothing against it; until then, and if that never
// happens, the folder holds the last good configuration.
//
// The package does not look into the files beyond their being JSON with a list
// in it: what the entries mean is up to ServerOptions.Check and to whoever loads
// them. It asks nobody for a password; who may reach the handlers is up to the
// program that registers them.
//
// Source of the behaviour: docs/spec/interfaces.md §2.
package confdist

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"dsiem/internal/fetch"
)

const (
	defaultTimeout     = 10 * time.Second
	defaultRetry       = 3 * time.Second
	defaultGiveUp      = time.Minute
	defaultMaxTime     = 10 * time.Minute
	defaultMaxFileSize = 100 << 20
	defaultMaxTotal    = 1 << 30

	// The wait between attempts grows by retryGrowth up to retryLimit times the
	// first one; spread keeps backends that start together apart.
	retryGrowth = 1.5
	retryLimit  = 3
	retrySpread = 0.1

	// lastGoodTries is the number of attempts, a quarter of a minute if the frontend
	// is down, where there is a configuration to go on with.
	lastGoodTries = 4
)

// Options say what to download. The zero values of all but Frontend, Node and
// Dir are replaced by defaults.
type Options struct {
	// Frontend is the base URL of the frontend, http:// or https://, with or
	// without a slash at the end. Empty, or with the scheme file, means that
	// there is none and that the folder is used as it is.
	Frontend string
	// Node is the name of this backend, whose directives are downloaded.
	Node string
	// Dir is the folder of configuration files. It is made if it is missing. It
	// belongs to this backend alone.
	Dir string

	// Check, if not nil, looks at the folder as it would be with the new files, and
	// returns why they must not be used.
	Check func(dir fs.FS) error

	// Client makes the requests, without following redirects.
	Client *http.Client
	// Timeout is the longest silence of the frontend, before and within an
	// answer (default 10 s). A large file over a slow line may take longer, up to
	// MaxTime for one attempt (default 10 minutes).
	Timeout, MaxTime time.Duration
	// RetryInterval is the wait after the first failed attempt (default 3 s);
	// it grows up to threefold. GiveUp is the time after which a failed attempt
	// is the last (default 1 minute). The fourth one is anyway, if the folder holds
	// a whole configuration.
	RetryInterval, GiveUp time.Duration
	// MaxFileSize is the size in bytes that no file may exceed (default
	// 100 MiB), MaxSize that of all together (default 1 GiB).
	MaxFileSize, MaxSize int64

	// Logger gets downloads and failed attempts; nil is silence.
	Logger *slog.Logger
}

// Result is what Download did.
type Result struct {
	// Skipped is true when there is no frontend.
	Skipped bool
	// Files are the names of the files that were downloaded, Removed those that
	// were downloaded by an earlier run and that the frontend no longer has.
	// Both are sorted.
	Files, Removed []string
	// Outdated is why the folder holds the configuration that was downloaded at
	// Downloaded, by an earlier run, nil if it holds the frontend's.
	Outdated   error
	Downloaded time.Time
}

// Download brings the assets, intel and vuln files of the frontend and the
// directives of this node into the folder, replacing files of the same names,
// and removes what an earlier Download brought and the frontend no longer lists
// (docs/spec/interfaces.md §2.5).
//
// It repeats everything when the frontend does not answer, or answers with
// anything but status 200 and JSON, with a warning for each failed attempt. When it
// gives up the folder is unchanged: if an earlier Download for this node was complete,
// the error is in the result, otherwise it is returned. A file system that fails and a
// Check that refuses end it at once. The end of the context is always an error.
func Download(ctx context.Context, o Options) (Result, error) {
	result, err := download(ctx, &o)
	if err != nil {
		return Result{}, fmt.Errorf("downloading config: %w", err)
	}
	return result, nil
}

func download(ctx context.Context, o *Options) (Result, error) {
	base, ok, err := frontendURL(o.Frontend)
	if err != nil || !ok {
		return Result{Skipped: !ok}, err
	}
	if o.Node == "" || o.Dir == "" {
		return Result{}, errors.New("the node has no name or no folder for configuration files")
	}
	o.setDefaults()
	if o.Client == nil {
		o.Client = &http.Client{Transport: fetch.Transport()}
		defer o.Client.CloseIdleConnections()
	}
	o.Client = fetch.Direct(o.Client)
	d := &downloader{Options: o, base: base}
	result, err := d.retry(ctx)
	if err == nil || ctx.Err() != nil {
		return result, err
	}
	// Asked again: an installation that was cut off has left nothing to go on with.
	downloaded, ok := lastGood(o.Dir, o.Node)
	if !ok {
		return Result{}, err
	}
	return Result{Outdated: err, Downloaded: downloaded}, nil
}

// retry makes attempts until one succeeds or is the last.
func (d *downloader) retry(ctx context.Context) (Result, error) {
	o := d.Options
	_, canGoOn := lastGood(o.Dir, o.Node)
	attempt, start := 0, time.Now()
	return backoff.Retry(ctx, func() (Result, error) {
		attempt++
		result, err := d.attempt(ctx)
		if err != nil && (time.Since(start) >= o.GiveUp || canGoOn && attempt >= lastGoodTries) {
			err = backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithBackOff(o.waits()), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			o.Logger.Warn("error downloading config, retrying", "error", err, "attempt", attempt, "retry_in", wait)
		}))
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.Timeout, defaultTimeout},
		{&o.MaxTime, defaultMaxTime},
		{&o.RetryInterval, defaultRetry},
		{&o.GiveUp, defaultGiveUp},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if o.MaxFileSize <= 0 {
		o.MaxFileSize = defaultMaxFileSize
	}
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxTotal
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) waits() backoff.BackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     o.RetryInterval,
		RandomizationFactor: retrySpread,
		Multiplier:          retryGrowth,
		MaxInterval:         retryLimit * o.RetryInterval,
	}
}

// frontendURL parses the URL of a frontend; ok is false if there is none. The
// parser's own error would show a password.
func frontendURL(text string) (u *url.URL, ok bool, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, false, nil
	}
	u, err = url.Parse(text)
	switch {
	case err != nil:
		err = errors.New("the frontend's URL is malformed; write http://host:8080, and percent-encode special characters in a password")
	case u.Scheme == "file":
		return nil, false, nil
	case u.Scheme != "http" && u.Scheme != "https":
		err = errors.New("the frontend's URL must begin with http:// or https://")
	case u.Hostname() == "":
		err = errors.New("the frontend's URL has no host; write http://host:8080")
	}
	return u, true, err
}

// redacted returns a URL without credentials and query. Unlike log.Redact it puts
// no mask in their place: operators key on the line "downloading URL"
// (docs/spec/interfaces.md §6.3), and the URL in it must be one that can be opened.
func redacted(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return bare.String()
}
