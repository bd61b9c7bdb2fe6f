package input

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ErrTrailing is that something else is behind compressed data. What is in front of it
// is good, but what it is nobody knows, so that it is not passed over.
var ErrTrailing = errors.New("something else is behind the compressed data")

// NextGzip goes over NUL bytes behind a member of gzip data, with which tapes and
// block devices pad. It returns io.EOF if that is all, nil if another member begins,
// and otherwise ErrTrailing or an error of in.
func NextGzip(in io.ByteScanner) error {
	const magic = "\x1f\x8b"
	c, err := skipPadding(in)
	switch {
	case err != nil:
		return err
	case c != magic[0]:
		return ErrTrailing
	}
	return in.UnreadByte()
}

// skipPadding returns the first byte that is not NUL.
func skipPadding(in io.ByteReader) (c byte, err error) {
	for c == 0 && err == nil {
		c, err = in.ReadByte()
	}
	return c, err
}

// ZstdFrames returns a reader of zstd data without the NUL bytes that are behind its
// frames, as NextGzip goes over them. What is no frame is ErrTrailing, if a frame is
// before it, and else left to who decompresses. It waits for no more of in than a
// frame has.
func ZstdFrames(in *bufio.Reader) io.Reader { return &zstdFrames{in: in} }

// The parts of a frame of zstd data (RFC 8878, section 3.1).
const (
	zstdMagic      = 0x28 // the first byte
	zstdSkip       = 0x50 // that of a frame to be skipped, but for four bits
	zstdSkipMask   = 0x0f
	zstdMagicSize  = 4
	zstdBlockSize  = 3 // of the header of a block
	zstdCheckSize  = 4
	zstdRLE        = 1 // type of a block that has one byte, whatever its size says
	zstdLastBlock  = 1 // bit of the header
	zstdTypeShift  = 1
	zstdTypeMask   = 3
	zstdBlockShift = 3
)

// zstdFrames follows the frames that it passes on.
type zstdFrames struct {
	in   *bufio.Reader
	left int64 // bytes to pass on before the next part
	next func() error
	any  bool // a frame has begun
	sum  bool // the frame has a checksum
}

// Read implements io.Reader.
func (z *zstdFrames) Read(p []byte) (int, error) {
	for z.left == 0 {
		part := z.next
		if part == nil {
			part = z.frame
		}
		z.next = nil
		if err := part(); err != nil {
			return 0, err
		}
	}
	n, err := z.in.Read(p[:min(int64(len(p)), z.left)])
	z.left -= int64(n)
	return n, err
}

// frame finds the next frame, and passes its header on.
func (z *zstdFrames) frame() error {
	if z.any {
		c, err := skipPadding(z.in)
		switch {
		case err != nil:
			return err
		case c != zstdMagic && c&^zstdSkipMask != zstdSkip:
			return ErrTrailing
		}
		if err := z.in.UnreadByte(); err != nil {
			return err
		}
	}
	var h zstd.Header
	err := io.ErrUnexpectedEOF
	for n := zstdMagicSize; errors.Is(err, io.ErrUnexpectedEOF) && n <= zstd.HeaderMaxSize; n++ {
		text, short := z.in.Peek(n)
		if len(text) < n {
			return z.rest(short)
		}
		err = h.Decode(text)
	}
	switch {
	case errors.Is(err, zstd.ErrMagicMismatch) && z.any:
		return ErrTrailing
	case err != nil:
		return z.rest(nil)
	}
	z.any = true
	z.left, z.sum = int64(h.HeaderSize), h.HasCheckSum
	if h.Skippable {
		z.left += int64(h.SkippableSize)
		return nil
	}
	z.next = z.block
	return nil
}

// rest passes on all there is: who decompresses will say what is wrong with it. It
// returns the error of an input that has nothing more.
func (z *zstdFrames) rest(err error) error {
	z.left = int64(z.in.Buffered())
	if z.left > 0 {
		return nil
	}
	return err
}

// block passes a block on.
func (z *zstdFrames) block() error {
	header, err := z.in.Peek(zstdBlockSize)
	if len(header) < zstdBlockSize {
		return z.rest(err)
	}
	bits := uint32(header[0]) | uint32(header[1])<<8 | uint32(header[2])<<16
	size := bits >> zstdBlockShift
	if bits>>zstdTypeShift&zstdTypeMask == zstdRLE {
		size = 1
	}
	z.left = zstdBlockSize + int64(size)
	switch {
	case bits&zstdLastBlock == 0:
		z.next = z.block
	case z.sum:
		z.left += zstdCheckSize
	}
	return nil
}
