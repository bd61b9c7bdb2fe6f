package confdist

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	defaultMaxSize    = 100 << 20
	defaultServerTime = 2 * time.Minute
)

// The references' texts (docs/spec/interfaces.md §2.1). That an upload says it in
// other words is theirs, too.
const (
	badName       = "Not a valid filename, should be in any_N4m3-that_you_want.json format\n"
	badUploadName = "Not a valid filename, should be in any_N4m3_you_want.json format\n"
	badFolder     = "Error reading config directory"
	badContent    = "Invalid content detected, parsing error message is: "
	badBody       = "Error when parsing request"
	cannotOpen    = "Cannot open target file location\n"
	cannotWrite   = "Cannot write to target file location\n"
)

// ServerOptions say what a Server serves. The zero values of all but Dir are
// replaced by defaults.
type ServerOptions struct {
	// Dir is the folder of configuration files. It may be missing, or not
	// writable, and may come later.
	//
	// Only one node may change files in it: another program that writes there at
	// the same moment is not seen by If-Match.
	Dir string
	// Writable allows Upload and Delete. Without it they answer 405.
	Writable bool
	// Check returns why the engine cannot load a file, as text for whoever
	// wrote it: one line per problem, with file, line and column. It is asked
	// for assets_*, directives_*, intel_* and vuln_* files, from any goroutine.
	// Without it a file must only have a list with something in it.
	Check func(name string, content []byte) error
	// CheckChange returns why the folder must not be changed, as text of the same
	// form. It is asked for the same files, after Check, while nobody else changes
	// the folder. Without it any change is good.
	CheckChange func(c Change) error
	// Settings are what dsiem_config.json says.
	Settings Settings
	// User returns who makes a request, for the log, or ""; nil is nobody.
	User func(*http.Request) string
	// MaxSize is the size in bytes that no upload may exceed (default 100 MiB).
	// Twice as much is held in memory at most, for all uploads together.
	MaxSize int64
	// MaxFolder is the size in bytes that the files which nodes load may have together
	// after an upload, 0 for any: checking them takes several times as much memory.
	MaxFolder int64
	// Timeout is the time in which an upload must arrive (default 2 minutes),
	// whatever the http.Server allows for other requests. If that one has a
	// WriteTimeout, it is also the time for a download.
	Timeout time.Duration

	// Logger gets changes and failures; nil is silence.
	Logger *slog.Logger
}

// Change is a change of a file that is about to be made.
type Change struct {
	// Dir is the folder before the change.
	Dir fs.FS
	// Name is the file's name, Content what it is to hold; Delete removes it instead.
	Name    string
	Content []byte
	Delete  bool
}

// Server hands out the configuration files of a folder over HTTP and, if it is
// writable, takes new ones (docs/spec/interfaces.md §2.1). Its methods are handlers
// for the routes
//
//	GET    /config, /config/{$}  List
//	GET    /config/{name}        Download
//	POST   /config/{name}        Upload
//	DELETE /config/{name}        Delete
//
// and are safe for concurrent use. Uploads and deletions happen one after
// another. Running backends do not learn of them: they download when they start.
//
// An error is plain text, as the references have it, or, for a client whose
// Accept header prefers it, JSON: {"error": "…", "status": 418}.
type Server struct {
	o        ServerOptions
	settings []byte

	mu   sync.Mutex // held while a file is compared and changed
	held atomic.Int64

	uploads, deletes atomic.Uint64
}

// NewServer returns a Server. It does not touch the folder.
func NewServer(o ServerOptions) *Server {
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.MaxFolder > 0 {
		o.MaxSize = min(o.MaxSize, o.MaxFolder)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultServerTime
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.User == nil {
		o.User = func(*http.Request) string { return "" }
	}
	s := &Server{o: o}
	settings, err := o.Settings.content()
	if err != nil {
		panic(err) // cannot happen: two lists of strings
	}
	s.settings = settings
	return s
}

// list is the body of the list of files.
type list struct {
	Files []listed `json:"files"`
}

type listed struct {
	Filename string `json:"filename"`
}

// List answers with the names of the files, sorted: 200 and
// {"files": [{"filename": "…"}]}. Only regular files with a valid name are
// listed, so that everything listed can be downloaded, and always
// dsiem_config.json.
//
// A folder that cannot be read, or is missing, is an error (500): a backend
// takes a short list for the deletion of the rest.
func (s *Server) List(w http.ResponseWriter, r *http.Request) {
	names, err := s.names()
	if err != nil {
		s.refuse(w, r, &refusal{http.StatusInternalServerError, badFolder, err})
		return
	}
	body := list{Files: make([]listed, len(names))}
	for i, name := range names {
		body.Files[i].Filename = name
	}
	text, err := json.Marshal(body, jsontext.WithIndent("  "))
	if err != nil {
		s.refuse(w, r, &refusal{http.StatusInternalServerError, badFolder, err})
		return
	}
	serve(w, r, tagOfBytes(text), bytes.NewReader(text))
}

func (s *Server) names() ([]string, error) {
	f, err := openFolder(s.o.Dir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	names, err := f.names(func(name string, err error) {
		s.o.Logger.Warn("configuration file is not listed", "name", name, "error", err)
	})
	if at, found := slices.BinarySearch(names, SettingsName); err == nil && !found {
		names = slices.Insert(names, at, SettingsName)
	}
	return names, err
}

// Download answers with the bytes of the file {name}, and its ETag, which
// changes with the content: 200, or 304 for If-None-Match. 418 is the answer to
// a name that none can have, 400 to one that no regular file in the folder has.
//
// dsiem_config.json is made of the options and never read: an older one may be
// there that cannot be replaced, and may hold secrets.
func (s *Server) Download(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	switch {
	case !ValidName(name):
		s.refuse(w, r, &refusal{status: http.StatusTeapot, text: badName})
	case name == SettingsName:
		serve(w, r, tagOfBytes(s.settings), bytes.NewReader(s.settings))
	default:
		if no := s.download(w, r, name); no != nil {
			s.refuse(w, r, no)
		}
	}
}

func (s *Server) download(w http.ResponseWriter, r *http.Request, name string) *refusal {
	no := &refusal{status: http.StatusBadRequest, text: "cannot open " + name}
	f, err := openFolder(s.o.Dir)
	if err != nil {
		return no.because(err)
	}
	defer f.close()
	file, info, err := f.open(name)
	if err != nil {
		return no.because(err)
	}
	defer file.Close()
	content := &steady{file: file, info: info}
	tag, err := tagOf(content)
	if err != nil {
		return no.because(err)
	}
	s.patience(w, r)
	serve(w, r, tag, content)
	return nil
}

// because adds why a file is not there. What fails on this machine is not the
// client's fault.
func (no *refusal) because(err error) *refusal {
	no.cause = err
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errForeign) {
		no.status = http.StatusInternalServerError
	}
	return no
}

// serve answers with JSON, or with 304 for a client that has it already.
func serve(w http.ResponseWriter, r *http.Request, tag string, content io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache") // ask each time whether the ETag has changed
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, content)
}

// steady is a file that must not change while it is read. If somebody edits it
// in place, the answer is cut off, which the client sees, instead of one that is
// half old and does not fit its ETag.
type steady struct {
	file *os.File
	info fs.FileInfo // when it was opened
}

var errChanged = errors.New("the file was changed while it was being read")

// Read implements io.Reader.
func (s *steady) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	now, e := s.file.Stat()
	if e == nil && (now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime())) {
		e = errChanged
	}
	if e != nil {
		return 0, e
	}
	return n, err
}

// Seek implements io.Seeker.
func (s *steady) Seek(offset int64, whence int) (int64, error) { return s.file.Seek(offset, whence) }

// patience gives a request the time that a file takes, which is more than
// others need. Where the connection has no deadlines there is nothing to do.
func (s *Server) patience(w http.ResponseWriter, r *http.Request) {
	control, now := http.NewResponseController(w), time.Now()
	_ = control.SetReadDeadline(now.Add(s.o.Timeout))
	// Only a server that has a time for answers sets it anew for the next one.
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.WriteTimeout > 0 {
		_ = control.SetWriteDeadline(now.Add(max(s.o.Timeout, server.WriteTimeout)))
	}
}
