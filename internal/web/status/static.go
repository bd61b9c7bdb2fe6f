package status

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
)

const (
	uiPrefix  = "/ui/"
	indexName = "index.html"
	// forEver is for files whose name changes with their content.
	forEver = "max-age=31536000, immutable"
	// asking makes the browser ask every time whether it has the last version.
	asking = "no-cache"
	// maxTagged is the size up to which the content decides whether a file has
	// changed. Images are often built with one time for all files, so that of a
	// new version can be that of the old one.
	maxTagged = 1 << 20
)

// noUI is the answer if there is nothing to show at /ui/.
const noUI = `There is no web UI here. Its files belong into the folder for /ui/ (web/dist below
the root folder, unless set otherwise), which is missing, cannot be read or has no index.html.
The status of this node is at / and needs no files.`

// Static serves the files of a folder for GET /ui/ (docs/spec/interfaces.md §3.1,
// §3.7). A folder is answered with its index.html, or 404: there are no
// listings. Names that begin with a dot are not served, and neither is what a
// link to a place outside of dir leads to. Byte ranges and conditional requests
// work.
//
// Browsers may keep a file whose name has a hash, as main.3f2a9c1b.js, for a
// year, and must ask for every other, such as index.html and the
// assets/config/esconfig.json that a container writes at its start.
//
// The folder is looked up per request, so it may come later or be replaced.
// Register /ui with a redirect of its own: a ServeMux answers it with 307, the
// contract says 301.
func Static(dir string) http.Handler {
	return &static{dir: dir}
}

type static struct{ dir string }

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, uiPrefix)
	if !ok {
		notFound(w, "")
		return
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		notFound(w, "")
		return
	}
	defer root.Close()
	serveName(w, r, root.FS(), name)
}

// serveName serves what has a name in the folder: a file, or the index of a
// folder below it.
func serveName(w http.ResponseWriter, r *http.Request, folder fs.FS, name string) {
	asked := name
	if name == "" || strings.HasSuffix(name, "/") {
		name += indexName
	}
	if !servable(name) {
		notFound(w, asked)
		return
	}
	info, err := fs.Stat(folder, name)
	if err == nil && info.IsDir() {
		// Relative links in the index need the slash.
		if index, err := fs.Stat(folder, name+"/"+indexName); err == nil && index.Mode().IsRegular() {
			to := url.URL{Path: "./" + path.Base(name) + "/", RawQuery: r.URL.RawQuery}
			w.Header().Set("Location", to.String())
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
	}
	if err != nil || !info.Mode().IsRegular() { // a pipe would wait for its writer
		notFound(w, asked)
		return
	}
	file, err := folder.Open(name)
	if err != nil {
		notFound(w, asked)
		return
	}
	defer file.Close()
	serveFile(w, r, file, name)
}

// servable reports whether a path may be asked for: a clean path below the
// folder in which no part begins with a dot.
func servable(name string) bool {
	return fs.ValidPath(name) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.") &&
		!strings.ContainsAny(name, "\\\x00")
}

// serveFile sends a file or, if that is all that was asked for, a part of it.
func serveFile(w http.ResponseWriter, r *http.Request, file fs.File, name string) {
	info, err := file.Stat()
	content, seekable := file.(io.ReadSeeker)
	if err != nil || !seekable || !info.Mode().IsRegular() {
		notFound(w, name)
		return
	}
	header, modified := w.Header(), info.ModTime()
	if hashed(name) {
		header.Set("Cache-Control", forEver)
	} else {
		header.Set("Cache-Control", asking)
		if info.Size() <= maxTagged {
			whole := make([]byte, info.Size())
			n, err := io.ReadFull(content, whole)
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // it may just have become shorter
				header.Del("Cache-Control")
				http.Error(w, "The file could not be read", http.StatusInternalServerError)
				return
			}
			whole = whole[:n]
			sum := sha256.Sum256(whole)
			header.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
			content, modified = bytes.NewReader(whole), time.Time{}
		}
	}
	header.Set("Content-Type", contentType(name))
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", modified, content)
}

// notFound answers 404, with a hint if it is the UI itself that is missing.
func notFound(w http.ResponseWriter, name string) {
	text := "404 page not found"
	if name == "" {
		text = noUI
	}
	http.Error(w, text, http.StatusNotFound)
}

// hash finds a hash before the extensions of a name, as bundlers write it: eight
// or more hexadecimal digits, or exactly eight capitals and digits.
var hash = regexp.MustCompile(`[.-]([0-9a-f]{8,}|[0-9A-Z]{8})(?:\.[a-z][0-9a-z]*){1,2}$`)

// hashed reports whether the name of a file changes with its content. When in
// doubt it says no: a date is no hash, nor is a word.
func hashed(name string) bool {
	found := hash.FindStringSubmatch(path.Base(name))
	return found != nil && strings.ContainsAny(found[1], "0123456789") &&
		strings.Trim(found[1], "0123456789") != ""
}

// contentType returns the type of a file by its extension. Those of the web are
// known here: the tables of the system differ from one to the next, and some of
// them break scripts and modules.
func contentType(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".json", ".map":
		return "application/json; charset=utf-8"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".ico":
		return "image/x-icon"
	case ".wasm":
		return "application/wasm"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".eot":
		return "application/vnd.ms-fontobject"
	default:
		return cmp.Or(mime.TypeByExtension(ext), "application/octet-stream")
	}
}
