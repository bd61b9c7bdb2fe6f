package confdist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
)

// newFileMode is that of a file that an upload creates, as the original has it:
// intel files hold keys to paid services.
const newFileMode fs.FileMode = 0o600

// Upload makes the body the file {name}: 201 and the ETag of the new content.
// The file is replaced as a whole and on disk by then; it keeps its mode, and a
// symbolic link becomes a file. Any other answer means that nothing has changed.
//
// 418 is the answer to an invalid name and to content that is not JSON, has an
// empty list or does not pass ServerOptions.Check and CheckChange, with all they
// have to say. 412
// means that the file is not the one that If-Match names, or that there is one
// in spite of If-None-Match: *; of two editors that send the same If-Match one
// wins. 413 is a file that is too large, 400 a body that ends early and 408 one
// that comes too slowly, 403 dsiem_config.json, 405 a server that is not writable,
// 503 too much at once, and 500 a file system that fails.
func (s *Server) Upload(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	no := s.mayChange(name, badUploadName)
	var size int
	var tag string
	if no == nil {
		size, tag, no = s.upload(w, r, name)
	}
	if no != nil {
		s.refuseChange(w, r, no)
		return
	}
	s.uploads.Add(1)
	s.logChange(r, "configuration file uploaded", "name", name, "size", size, "etag", tag)
	text := "File " + name + " uploaded successfully\n" // the original's text
	if _, isLoaded := listKey(name); isLoaded {
		text += "Running nodes do not have it yet: they load it when they start.\n"
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("ETag", tag)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, text) //nolint:gosec // plain text, and the name is a valid one
}

// Delete removes the file {name}: 200 without a body. 400 means that there is no
// such file, also at the second attempt, and 418 that the others cannot be without
// it. The other answers are those of Upload; If-Match is honoured.
func (s *Server) Delete(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	no := s.mayChange(name, badName)
	var size int64
	if no == nil {
		size, no = s.remove(r.Header, name)
	}
	if no != nil {
		s.refuseChange(w, r, no)
		return
	}
	s.deletes.Add(1)
	s.logChange(r, "configuration file deleted", "name", name, "size", size)
	w.WriteHeader(http.StatusOK)
}

// mayChange returns why a request must not change a file, whatever it is.
func (s *Server) mayChange(name, badName string) *refusal {
	if !s.o.Writable {
		return &refusal{status: http.StatusMethodNotAllowed, text: http.StatusText(http.StatusMethodNotAllowed) + "\n"}
	}
	if !ValidName(name) {
		return &refusal{status: http.StatusTeapot, text: badName}
	}
	if name == SettingsName {
		return &refusal{status: http.StatusForbidden, text: SettingsName + " cannot be changed here, the node writes it from its options status and tags when it starts\n"}
	}
	return nil
}

func (s *Server) refuseChange(w http.ResponseWriter, r *http.Request, no *refusal) {
	switch no.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", "GET, HEAD")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	s.refuse(w, r, no)
}

func (s *Server) logChange(r *http.Request, message string, about ...any) {
	about = append(about, "peer", r.RemoteAddr)
	if user := s.o.User(r); user != "" {
		about = append(about, "user", user)
	}
	s.o.Logger.Info(message, about...) //nolint:sloglint // the callers' messages are constant
}

// check returns why a file must not be taken (docs/spec/interfaces.md §2.3).
func (s *Server) check(name string, content []byte) error {
	key, hasList := listKey(name)
	if !hasList {
		return checkJSON(name, content)
	}
	found := countEntries(content, key)
	if found == none {
		return errNoEntry
	}
	// Before the check for JSON, because it has more to say of the place.
	if s.o.Check != nil {
		if err := s.o.Check(name, content); err != nil {
			return err
		}
	}
	if err := checkJSON(name, content); err != nil {
		return err
	}
	if found != some {
		return errNoEntry
	}
	return nil
}

// checkSize returns why the folder would be too large.
func (s *Server) checkSize(c Change) *refusal {
	if c.Delete || s.o.MaxFolder <= 0 {
		return nil
	}
	whole := int64(len(c.Content))
	entries, err := fs.ReadDir(c.Dir, ".")
	if err != nil { // the change will fail, too, and say why
		return nil
	}
	for _, e := range entries {
		info, err := e.Info()
		if _, isLoaded := listKey(e.Name()); err == nil && isLoaded && e.Name() != c.Name && info.Mode().IsRegular() {
			whole += info.Size()
		}
	}
	if whole <= s.o.MaxFolder {
		return nil
	}
	return &refusal{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf(
		"%s: the files of the configuration would have %d bytes together, which is more than the memory of this node is for, %d; raise --memory\n",
		badBody, whole, s.o.MaxFolder)}
}

// checkChange returns why the folder must not be changed in this way.
func (s *Server) checkChange(c Change) *refusal {
	if _, isLoaded := listKey(c.Name); !isLoaded {
		return nil
	}
	if no := s.checkSize(c); no != nil || s.o.CheckChange == nil {
		return no
	}
	if err := s.o.CheckChange(c); err != nil {
		return invalid(err)
	}
	return nil
}

// replace puts content in the place of a file, if the conditions of the request
// hold, and returns its ETag.
func (s *Server) replace(h http.Header, name string, content []byte) (string, *refusal) {
	failed := func(text string, err error) (string, *refusal) {
		return "", &refusal{http.StatusInternalServerError, text, err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := openFolder(s.o.Dir)
	if err != nil {
		return failed(cannotOpen, err)
	}
	defer f.close()

	mode := newFileMode
	old, err := f.stat(name)
	switch {
	case err == nil:
		mode = old.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return failed(cannotOpen, err)
	}
	if no := f.condition(h, name, old != nil); no != nil {
		return "", no
	}
	if no := s.checkChange(Change{Dir: f.root.FS(), Name: name, Content: content}); no != nil {
		return "", no
	}
	pending, err := f.create(name, mode)
	if err != nil {
		return failed(cannotOpen, err)
	}
	if err := pending.replace(content); err != nil {
		return failed(cannotWrite, err)
	}
	s.syncFolder(f, name)
	return tagOfBytes(content), nil
}

// remove returns the size of the file that it has removed.
func (s *Server) remove(h http.Header, name string) (int64, *refusal) {
	no := &refusal{status: http.StatusBadRequest, text: "cannot delete " + name}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := openFolder(s.o.Dir)
	if err != nil {
		return 0, no.because(err)
	}
	defer f.close()
	old, err := f.stat(name)
	if err != nil {
		return 0, no.because(err)
	}
	if no := f.condition(h, name, true); no != nil {
		return 0, no
	}
	if no := s.checkChange(Change{Dir: f.root.FS(), Name: name, Delete: true}); no != nil {
		return 0, no
	}
	if err := f.root.Remove(name); err != nil {
		return 0, no.because(err)
	}
	s.syncFolder(f, name)
	return old.Size(), nil
}

// syncFolder makes a change last. It has been made by then, so that a failure is
// not one of the request.
func (s *Server) syncFolder(f *folder, name string) {
	if err := f.sync(); err != nil {
		s.o.Logger.Error("a change of the configuration may not outlast a power cut", "name", name, "error", err)
	}
}

// condition returns why the conditions of a request do not hold for a file.
func (f *folder) condition(h http.Header, name string, exists bool) *refusal {
	if !conditional(h) {
		return nil
	}
	tag := ""
	if exists {
		var err error
		if tag, err = f.tag(name); err != nil {
			return &refusal{http.StatusInternalServerError, cannotOpen, err}
		}
	}
	if reason := unmet(h, name, tag); reason != "" {
		return &refusal{status: http.StatusPreconditionFailed, text: reason}
	}
	return nil
}
