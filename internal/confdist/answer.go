package confdist

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// refusal is the answer to a request that was not carried out.
type refusal struct {
	status int
	text   string // the body, as the original has it
	cause  error  // what failed on this machine, for the log; else nil
}

// refuse logs and answers. The cause stays here: it may name paths.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, no *refusal) {
	if no.status >= http.StatusInternalServerError {
		s.o.Logger.Error("configuration request failed", "method", r.Method, "path", r.URL.Path,
			"status", no.status, "reason", strings.TrimSpace(no.text), "error", no.cause, "peer", r.RemoteAddr)
	} else {
		s.o.Logger.Debug("configuration request refused", "method", r.Method, "path", r.URL.Path,
			"status", no.status, "reason", strings.TrimSpace(no.text), "error", no.cause, "peer", r.RemoteAddr)
	}
	text, kind := strings.ToValidUTF8(no.text, "\uFFFD"), "text/plain; charset=utf-8"
	if prefersJSON(r.Header) {
		body, err := json.Marshal(struct {
			Error  string `json:"error"`
			Status int    `json:"status"`
		}{strings.TrimRight(text, "\n"), no.status}, jsontext.WithIndent("  "))
		if err == nil {
			text, kind = string(body)+"\n", "application/json"
		}
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(no.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) //nolint:gosec // plain text or JSON, and a browser must not guess
	}
}

// prefersJSON reports whether a client names JSON among what it accepts, and
// text not before it.
func prefersJSON(h http.Header) bool {
	asJSON, asText := 0.0, 0.0
	for _, list := range h.Values("Accept") {
		for item := range strings.SplitSeq(list, ",") {
			media, params, err := mime.ParseMediaType(item)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, given := params["q"]; given {
				weight, _ = strconv.ParseFloat(q, 64) // 0 for what is no number
			}
			switch media {
			case "application/json", "application/*":
				asJSON = max(asJSON, weight)
			case "text/plain", "text/*", "*/*":
				asText = max(asText, weight)
			}
		}
	}
	return asJSON > 0 && asJSON >= asText
}
