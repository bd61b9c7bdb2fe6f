package confdist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/fetch"
)

const (
	// maxListSize is the size in bytes that the list of files may not exceed,
	// maxFiles the number of those in it that are for one node.
	maxListSize = 16 << 20
	maxFiles    = 10_000
)

// downloader makes the attempts of one Download.
type downloader struct {
	*Options
	base *url.URL
}

// attempt downloads everything and puts it in place.
func (d *downloader) attempt(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.MaxTime, fmt.Errorf("not everything arrived within %v", d.MaxTime))
	defer cancel()
	listed, err := d.list(ctx)
	if err != nil {
		return Result{}, err
	}
	wanted := d.selection(listed)
	if len(wanted) > maxFiles {
		return Result{}, fmt.Errorf("the frontend has %d files for this node, more than %d", len(wanted), maxFiles)
	}
	left := d.MaxSize
	staging, err := newStaging(d.Dir)
	if err != nil {
		return Result{}, err
	}
	defer staging.discard(d.Logger)
	for _, name := range wanted {
		u := d.base.JoinPath("config", name)
		d.Logger.Info("downloading " + redacted(u)) //nolint:sloglint // a message that operators key on, docs/spec/interfaces.md §6.3
		size, err := d.get(ctx, u, d.MaxFileSize, func(r io.Reader) error { return staging.add(name, r) })
		if err != nil {
			return Result{}, err
		}
		if left -= size; left < 0 {
			return Result{}, fmt.Errorf("the files together are larger than %d bytes", d.MaxSize)
		}
	}
	if d.Check != nil {
		if err := d.Check(staging.preview(wanted, listed, d.Logger)); err != nil {
			return Result{}, backoff.Permanent(err)
		}
	}
	removed, err := staging.install(d.Node, wanted, listed, d.Logger)
	if err != nil {
		return Result{}, err
	}
	d.Logger.Info("configuration downloaded", "files", len(wanted), "removed", len(removed))
	return Result{Files: wanted, Removed: removed}, nil
}

// list returns the names that the frontend lists, whatever they are.
func (d *downloader) list(ctx context.Context) (names []string, err error) {
	u := d.base.JoinPath("config/")
	_, err = d.get(ctx, u, maxListSize, func(r io.Reader) error {
		var root struct {
			Files jsontext.Value `json:"files"`
		}
		if err := json.UnmarshalRead(r, &root); err != nil {
			return notList(err)
		}
		if root.Files == nil {
			return notList(errors.New(`"files" is missing`))
		}
		var files []struct {
			Filename string `json:"filename"`
		}
		if err := json.Unmarshal(root.Files, &files); err != nil {
			return notList(err)
		}
		for _, f := range files {
			names = append(names, f.Filename)
		}
		return nil
	})
	return names, err
}

// notList hides what an error quotes of the answer, which may be anything, also the
// request with its credentials.
func notList(err error) error {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		err = fmt.Errorf("something else is at byte %d", e.ByteOffset)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		err = unquoted(e)
	}
	return fmt.Errorf("the answer is not a list of configuration files: %w", err)
}

// selection returns which of the listed files concern this node, sorted.
func (d *downloader) selection(listed []string) []string {
	directives := "directives_" + d.Node + "_"
	prefixes := []string{"assets_", "vuln_", "intel_", directives}
	wanted := []string{}
	hasDirectives := false
	for _, name := range listed {
		concerns := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if !concerns || !ValidName(name) {
			d.Logger.Debug("configuration file is not for this node, ignoring it", "name", name)
			continue
		}
		wanted = append(wanted, name)
		hasDirectives = hasDirectives || strings.HasPrefix(name, directives)
	}
	if !hasDirectives {
		d.Logger.Warn("frontend has no directives for this node", "wanted", directives+"*.json", "listed", len(listed))
	}
	slices.Sort(wanted)
	return slices.Compact(wanted)
}

// get requests a URL, gives the body of a good answer to use, and returns its size.
// An error says which URL, without credentials.
func (d *downloader) get(ctx context.Context, u *url.URL, limit int64, use func(io.Reader) error) (size int64, err error) {
	if size, err = d.request(ctx, u, limit, use); err != nil {
		return size, fmt.Errorf("%s: %w", redacted(u), err)
	}
	return size, nil
}

func (d *downloader) request(ctx context.Context, u *url.URL, limit int64, use func(io.Reader) error) (size int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(d.Timeout, func() {
		cancel(fmt.Errorf("no answer within %v; start the frontend, or correct --frontend", d.Timeout))
	})
	defer silence.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return 0, errors.New("the URL cannot be requested")
	}
	resp, err := d.Client.Do(req)
	if err != nil {
		return 0, failure(ctx, advise(fetch.Cause(err)))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New("the frontend answers with status " + fetch.Status(resp.StatusCode) + adviceOf(resp.StatusCode))
	}
	b := &body{from: resp.Body, left: limit, limit: limit, alive: func() { silence.Reset(d.Timeout) }}
	if err := use(b); err != nil {
		return 0, failure(ctx, err)
	}
	return limit - b.left, nil
}

// failure returns why a request failed: the reason for which it was cancelled, if
// it was.
func failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// body is the body of an answer. It may not be longer than limit bytes.
type body struct {
	from        io.Reader
	left, limit int64
	alive       func() // called when something arrives
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.alive()
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fmt.Errorf("the answer is larger than %d bytes", b.limit)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fetch.Cause(err)
	}
	return n, err
}
