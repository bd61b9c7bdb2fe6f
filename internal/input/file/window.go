package file

import (
	"bytes"
	"io"
)

// textWindow is text that is read and not yet passed. It has room for the largest
// record.
type textWindow struct {
	in   io.Reader
	buf  []byte
	from int
	err  error
}

// window is the least room between a file and the records.
const window = 64 << 10

// rest returns the text. It is valid until the next call of more.
func (w *textWindow) rest() []byte { return w.buf[w.from:] }

// pass lets go of the first n bytes.
func (w *textWindow) pass(n int) { w.from += n }

// atEnd reports whether it is known that there is no more text.
func (w *textWindow) atEnd() bool { return w.err == io.EOF } //nolint:errorlint // as it is; wrapped, it is the cause of another error

// more adds at least one byte, or returns why there are none. It reads once if it
// can, so that what has come is there before a slow input goes on. NUL bytes are left
// out: they are what a writer leaves in a file that was cut off under it.
func (w *textWindow) more() error {
	for w.err == nil {
		if w.from == len(w.buf) {
			w.buf, w.from = w.buf[:0], 0
		}
		if cap(w.buf)-len(w.buf) < window/4 {
			w.move()
		}
		end := len(w.buf)
		n, err := w.in.Read(w.buf[end:cap(w.buf)])
		w.err = err
		if w.buf = append(w.buf[:end], withoutNUL(w.buf[end:end+n])...); len(w.buf) > end {
			return nil
		}
	}
	return w.err
}

// move makes room behind the text.
func (w *textWindow) move() {
	rest := w.rest()
	to := w.buf[:0]
	if size := len(rest) + window/2; size > cap(w.buf) {
		to = make([]byte, 0, max(window, 2*size))
	} else if cap(w.buf) > 16*window && size < window { // of a record larger than most
		to = make([]byte, 0, window)
	}
	w.buf, w.from = append(to, rest...), 0
}

// withoutNUL leaves out NUL bytes, in place.
func withoutNUL(text []byte) []byte {
	at := bytes.IndexByte(text, 0)
	if at < 0 {
		return text
	}
	kept := text[:at]
	for _, c := range text[at:] {
		if c != 0 {
			kept = append(kept, c)
		}
	}
	return kept
}
