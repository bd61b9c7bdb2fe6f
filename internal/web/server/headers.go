package server

import "net/http"

// UIPolicy is the content security policy for the static files of a web interface
// under /ui/. It reads Elasticsearch from the browser (docs/spec/interfaces.md §3.7),
// whose address the server does not know, and its components bring their styles
// along.
const UIPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self' http: https: ws: wss:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"

// SecurityHeaders returns a handler whose answers tell browsers what they must
// not do with them: what policy, a content security policy, forbids, guessing
// another content type, showing them in frames of other sites, and telling
// other sites the address. Handlers may set other values.
//
// Strict-Transport-Security is not among them: it would hold for all ports of
// the host, such as Kibana's.
func SecurityHeaders(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "SAMEORIGIN") // for browsers that do not know frame-ancestors
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// Not "no-referrer", with which browsers send forms with the origin
		// "null", and Browsers would refuse them.
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
