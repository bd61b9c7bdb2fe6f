package confdist

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
)

// tagOf reads to the end and returns the strong ETag of what it has read.
func tagOf(r io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return quoted(sum.Sum(nil)), nil
}

// tagOfBytes returns the ETag that tagOf returns for the same content.
func tagOfBytes(content []byte) string {
	sum := sha256.Sum256(content)
	return quoted(sum[:])
}

func quoted(sum []byte) string { return `"` + hex.EncodeToString(sum) + `"` }

// conditional reports whether a request is to be carried out only if the file
// is, or is not, the one that the client knows.
func conditional(h http.Header) bool {
	return len(h.Values("If-Match")) > 0 || len(h.Values("If-None-Match")) > 0
}

// unmet returns why a change must not be made, "" if it may. tag is the ETag of
// the file as it is, "" if there is none (RFC 9110 §13.1).
func unmet(h http.Header, name, tag string) string {
	if wanted := h.Values("If-Match"); len(wanted) > 0 && !matches(wanted, tag) {
		if tag == "" {
			return name + " does not exist, and If-Match asks for one that does\n"
		}
		return name + " is not the one that If-Match asks for, it was changed in between; download it again\n"
	}
	if excluded := h.Values("If-None-Match"); len(excluded) > 0 && matches(excluded, tag) {
		return name + " exists already, and If-None-Match excludes that\n"
	}
	return ""
}

// matches reports whether one of the tags that a header lists is that of an
// existing file. A weak tag matches none: ours are strong.
func matches(header []string, tag string) bool {
	if tag == "" {
		return false
	}
	for _, list := range header {
		for wanted := range strings.SplitSeq(list, ",") {
			if wanted = strings.TrimSpace(wanted); wanted == tag || wanted == "*" {
				return true
			}
		}
	}
	return false
}
