package replay

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// spooled is a record that has been judged and waits to be played.
type spooled struct {
	t      int64
	number int
	line   int
	text   []byte
}

// compare orders records of an input by their time, and in the order of the input if
// that is the same.
func (s *spooled) compare(o *spooled) int {
	return cmp.Or(cmp.Compare(s.t, o.t), cmp.Compare(s.number, o.number))
}

// spooledSize is what a record takes in memory beside its text.
const spooledSize = 48

// spool holds records of one input: runs, which are merged in order of time. The last
// run may be in memory.
type spool struct {
	in   *spooler
	runs []section
	last []spooled
	// readErr is why the input could not be read to its end, bytes its size.
	readErr error
	bytes   int64
}

// section is a run of records in the temporary file.
type section struct{ start, size int64 }

// spooler puts away records of any number of inputs: in memory, or in a temporary
// file if that is more than limit. The file has no name while it is in use, where the
// system allows that. A spooler belongs to one goroutine; what it has put away may be
// read by several.
type spooler struct {
	limit   int
	used    int
	block   []byte   // with room for more text
	spools  []*spool // with records in memory
	file    *os.File
	removed bool
	size    int64
	out     *bufio.Writer
}

// blockSize is the size of the pieces of memory that hold texts.
const blockSize = 1 << 20

// add puts a record away.
func (s *spooler) add(to *spool, r spooled) error {
	if size := len(r.text) + spooledSize; s.used+size > s.limit && s.used > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(to.last) == 0 {
		s.spools = append(s.spools, to)
	}
	s.used += len(r.text) + spooledSize
	if len(r.text) > cap(s.block)-len(s.block) {
		s.block = make([]byte, 0, max(blockSize, len(r.text)))
	}
	start := len(s.block)
	s.block = append(s.block, r.text...)
	r.text = s.block[start:len(s.block):len(s.block)]
	to.last = append(to.last, r)
	return nil
}

// sort orders what is in memory, each spool by itself.
func (s *spooler) sort() {
	for _, one := range s.spools {
		slices.SortFunc(one.last, func(a, b spooled) int { return a.compare(&b) })
	}
}

// spill sorts what is in memory and writes it to the temporary file.
func (s *spooler) spill() error {
	s.sort()
	for _, one := range s.spools {
		start := s.size
		for i := range one.last {
			if err := s.write(&one.last[i]); err != nil {
				return err
			}
		}
		one.runs = append(one.runs, section{start, s.size - start})
		one.last = nil
	}
	s.spools, s.used, s.block = s.spools[:0], 0, nil
	return s.flush()
}

// write writes a record to the temporary file.
func (s *spooler) write(r *spooled) error {
	if s.file == nil {
		f, err := os.CreateTemp("", "dsiem-replay-*")
		if err != nil {
			return fmt.Errorf("a temporary file: %w", err)
		}
		s.file, s.out = f, bufio.NewWriterSize(f, blockSize)
		s.removed = os.Remove(f.Name()) == nil // or else when it is closed
	}
	var head [4 * binary.MaxVarintLen64]byte
	b := binary.AppendVarint(head[:0], r.t)
	b = binary.AppendUvarint(b, uint64(r.number)) //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(r.line))   //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(len(r.text)))
	_, err := s.out.Write(b)
	if err == nil {
		_, err = s.out.Write(r.text)
	}
	if err != nil {
		return fmt.Errorf("a temporary file: %w", err)
	}
	s.size += int64(len(b) + len(r.text))
	return nil
}

// flush makes what was written readable.
func (s *spooler) flush() error {
	if s.out == nil {
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("a temporary file: %w", err)
	}
	return nil
}

// close removes the temporary file.
func (s *spooler) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if !s.removed {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// run is a run of a spool that is being read; next is its next record.
type run struct {
	next   spooled
	memory []spooled
	file   *bufio.Reader // instead
	text   []byte        // of next, if it is in the file
}

// runBuffer is the size of the buffer of one run in a file.
const runBuffer = 32 << 10

// advance reads the next record and returns io.EOF if there is none.
func (r *run) advance() error {
	if r.file == nil {
		if len(r.memory) == 0 {
			return io.EOF
		}
		r.next, r.memory = r.memory[0], r.memory[1:]
		return nil
	}
	t, err := binary.ReadVarint(r.file)
	if err != nil {
		return err // io.EOF between two records
	}
	var numbers [3]uint64
	for i := range numbers {
		if numbers[i], err = binary.ReadUvarint(r.file); err != nil {
			return cmp.Or(err, io.ErrUnexpectedEOF)
		}
	}
	size := int(numbers[2]) //nolint:gosec // as it was written
	r.text = slices.Grow(r.text[:0], size)[:size]
	if _, err := io.ReadFull(r.file, r.text); err != nil {
		return err
	}
	r.next = spooled{t: t, number: int(numbers[0]), line: int(numbers[1]), text: r.text} //nolint:gosec // as it was written
	return nil
}

// unspooling is the source of an input whose records have been put away: in order of
// time, if there is more than one run.
type unspooling struct {
	base string
	runs *heap[*run]
	// then is what ends it, io.EOF if nothing else.
	then error
	size int64 // of the input
	err  error
}

// source returns a source of what was put away.
func (s *spool) source(base string) source {
	u := &unspooling{base: base, then: cmp.Or(s.readErr, io.EOF), size: s.bytes}
	u.runs = newHeap(func(a, b *run) bool { return a.next.compare(&b.next) < 0 })
	for _, one := range s.runs {
		u.add(&run{file: bufio.NewReaderSize(io.NewSectionReader(s.in.file, one.start, one.size), runBuffer)})
	}
	if len(s.last) > 0 {
		u.add(&run{memory: s.last})
	}
	return u
}

// add adds a run, unless it is empty.
func (u *unspooling) add(r *run) {
	switch err := r.advance(); {
	case err == nil:
		u.runs.push(r)
	case !errors.Is(err, io.EOF):
		u.fail(err)
	}
}

func (u *unspooling) fail(err error) {
	if u.err == nil {
		u.err = fmt.Errorf("a temporary file: cannot read: %w", err)
	}
}

func (u *unspooling) fill(ctx context.Context, j *job, limit int) error {
	j.base, j.spooled, j.texts = u.base, j.spooled[:0], j.texts[:0]
	for u.runs.len() > 0 && u.err == nil && len(j.spooled) < limit && len(j.texts) < blockSize {
		r := u.runs.first()
		one := r.next
		if r.file != nil {
			start := len(j.texts)
			j.texts = append(j.texts, one.text...)
			one.text = j.texts[start:len(j.texts):len(j.texts)]
		}
		j.spooled = append(j.spooled, one)
		switch err := r.advance(); {
		case err == nil:
			u.runs.fix()
		case errors.Is(err, io.EOF):
			u.runs.pop()
		default:
			u.fail(err)
		}
	}
	switch {
	case u.err != nil:
		return u.err
	case ctx.Err() != nil:
		return fmt.Errorf("reading events: %w", ctx.Err())
	case len(j.spooled) == 0:
		return u.then
	}
	return nil
}

func (u *unspooling) decode(p *pipeline, j *job) { j.decodeSpooled(p.format) }

func (u *unspooling) progress() int64 { return u.size }

func (u *unspooling) close() error { return nil }
