package file

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"dsiem/internal/input"
)

// packing is how an input is compressed. The zero value is not at all.
type packing struct {
	name string // in messages
	zstd *zstd.Decoder
}

// The compressions that are read, by their first bytes. What zstd may skip comes
// before it in some files.
const (
	gzipMagic = input.GzipStart
	zstdMagic = input.ZstdStart
	zstdSkip  = "\x2a\x4d\x18" // behind a byte from 0x50 to 0x5f

	// zstdWindow is the largest window that the program zstd reads without being told.
	zstdWindow = 128 << 20
)

// starts reports whether an input begins with some bytes. It does not wait for more
// than the first ones if these are others.
func starts(in *bufio.Reader, magic string) bool {
	for n := 1; n <= len(magic); n++ {
		if text, _ := in.Peek(n); len(text) < n || text[n-1] != magic[n-1] {
			return false
		}
	}
	return true
}

// unpack returns the text of an input, which raw has begun to read.
func (s *source) unpack(raw *bufio.Reader, in io.Reader) (io.Reader, error) {
	first, _ := raw.Peek(1)
	switch {
	case starts(raw, gzipMagic):
		s.packed.name = "gzip"
		gz, err := gzip.NewReader(raw)
		if err != nil {
			return nil, s.failed(err)
		}
		gz.Multistream(false)
		return &gzipMembers{in: raw, gzip: gz}, nil
	case starts(raw, zstdMagic), len(first) > 0 && first[0]&0xf0 == 0x50 && starts(raw, string(first)+zstdSkip):
		s.packed.name = "zstd"
		z, err := zstd.NewReader(input.ZstdFrames(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, s.failed(err)
		}
		s.packed.zstd = z
		return z, nil
	}
	for _, kind := range input.OtherKinds() {
		if starts(raw, kind.Start) {
			return nil, fmt.Errorf("%s: it is %s, which is not read: want text, or text compressed with gzip or zstd", s.name, kind.Name)
		}
	}
	begun, _ := raw.Peek(raw.Buffered())
	return io.MultiReader(bytes.NewReader(begun), in), nil // without a copy of all of it
}

// damaged reports whether an error is that of the compressed data.
func (p *packing) damaged(err error) bool {
	if p.zstd != nil {
		return true // it gives the errors of the file as they are, and those are rare
	}
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	return corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)
}

func (p *packing) close() {
	if p.zstd != nil {
		p.zstd.Close()
	}
}

// gzipMembers reads all members of gzip data, and NUL bytes behind them.
type gzipMembers struct {
	in   *bufio.Reader
	gzip *gzip.Reader
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.gzip.Read(p)
		if n > 0 && errors.Is(err, io.EOF) {
			return n, nil
		}
		if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return n, err
		}
		if err := g.member(); err != nil {
			return 0, err
		}
	}
}

// member goes to the next member. It returns io.EOF if there is none.
func (g *gzipMembers) member() error {
	if err := input.NextGzip(g.in); err != nil {
		return err
	}
	if err := g.gzip.Reset(g.in); err != nil {
		return err
	}
	g.gzip.Multistream(false)
	return nil
}

// check returns an error if the text is none, by what has been read of it so far.
func (s *source) check() error {
	for len(s.text.rest()) < 2 && s.text.more() == nil { // a line is longer
	}
	rest := s.text.rest()
	for _, utf16 := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(rest, []byte(utf16)) {
			return fmt.Errorf("%s: it is text in UTF-16: want UTF-8, which iconv -f UTF-16 -t UTF-8 makes of it", s.name)
		}
	}
	if isBinary(rest[:min(len(rest), 512)]) {
		return fmt.Errorf("%s: it is binary data: want text, or text compressed with gzip or zstd", s.name)
	}
	return nil
}

// isBinary reports whether a text has many bytes that text has not, of whatever
// encoding.
func isBinary(text []byte) bool {
	const least = 16 // of such bytes
	control, bad := 0, 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			bad++
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\v' && r != 0x1b, r == 0x7f:
			control++
		}
		i += size
	}
	return control+bad >= least && (control+bad)*4 > len(text) && control > 0
}
