package input_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"dsiem/internal/input"
)

// frame is a frame of zstd data, or one that is to be skipped.
func frame(t *rapid.T) (packed []byte, text string) {
	if rapid.IntRange(0, 4).Draw(t, "skipped") == 0 {
		return []byte("\x5f\x2a\x4d\x18\x05\x00\x00\x00\x00\x28\xb5\x2f\xfd"), ""
	}
	// Long runs become blocks of one byte, noise becomes blocks as it is.
	text = strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(0, 20_000).Draw(t, "times"))
	text += string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "noise")) + strings.Repeat("\x00", rapid.IntRange(0, 3).Draw(t, "NUL bytes"))
	w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(rapid.Bool().Draw(t, "checksum")), zstd.WithSingleSegment(rapid.Bool().Draw(t, "single")),
		zstd.WithZeroFrames(true), zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(text), nil), text
}

// TestZstdFrames: the frames go through byte by byte, the padding behind them does
// not, and of what is cut off or damaged the decoder says what it says without.
func TestZstdFrames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var in, want bytes.Buffer
		for range rapid.IntRange(1, 4).Draw(t, "frames") {
			packed, _ := frame(t)
			in.Write(packed)
			want.Write(packed)
			in.Write(make([]byte, rapid.SampledFrom([]int{0, 0, 1, 2, 5000}).Draw(t, "padding")))
		}
		var from io.Reader = bytes.NewReader(in.Bytes())
		if rapid.Bool().Draw(t, "slow") {
			from = iotest.HalfReader(from)
		}
		got, err := io.ReadAll(input.ZstdFrames(bufio.NewReaderSize(from, 64)))
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%d bytes, error %v, want %d", len(got), err, want.Len())
		}
	})
}

func TestZstdFramesOfDamagedData(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, _ := frame(t)
		second, _ := frame(t)
		in = append(in, second...)
		if rapid.Bool().Draw(t, "cut") {
			in = in[:rapid.IntRange(0, len(in)).Draw(t, "length")]
		} else {
			in[rapid.IntRange(0, len(in)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		if passed, err := io.ReadAll(input.ZstdFrames(bufio.NewReader(bytes.NewReader(in)))); err == nil && len(passed) < len(in) {
			return // A frame ends sooner, before bytes that look like padding now.
		}
		unpack := func(from io.Reader) (string, error) {
			z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			text, err := io.ReadAll(z)
			return string(text), err
		}
		want, wantErr := unpack(bytes.NewReader(in))
		got, err := unpack(input.ZstdFrames(bufio.NewReader(bytes.NewReader(in))))
		if got != want && wantErr == nil || (err == nil) != (wantErr == nil) {
			t.Fatalf("%d bytes, error %v; without: %d bytes, error %v", len(got), err, len(want), wantErr)
		}
	})
}

func TestTrailing(t *testing.T) {
	t.Parallel()
	const whole = "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00" // an empty frame
	for _, c := range []struct {
		behind string
		want   error
	}{
		{"", nil},
		{"\x00\x00", nil},
		{"\x00" + whole + "\x00", nil},
		{"\n", input.ErrTrailing},
		{"\x00\x00\x00garbage", input.ErrTrailing},
		{"(garbage", input.ErrTrailing}, // the first byte is that of a frame
		{"Pgarbage", input.ErrTrailing},
		{"\x1f\x8b\x08", input.ErrTrailing},
	} {
		if _, err := io.ReadAll(input.ZstdFrames(bufio.NewReader(strings.NewReader(whole + c.behind)))); !errors.Is(err, c.want) {
			t.Errorf("%q behind a frame: %v, want %v", c.behind, err, c.want)
		}
	}
	for in, want := range map[string]error{
		"": io.EOF, "\x00\x00": io.EOF, "\x00\x1f\x8b": nil, "\x00\n": input.ErrTrailing, "x": input.ErrTrailing,
	} {
		if err := input.NextGzip(strings.NewReader(in)); !errors.Is(err, want) {
			t.Errorf("%q behind gzip data: %v, want %v", in, err, want)
		}
	}
	wire := errors.New("wire cut")
	from := io.MultiReader(strings.NewReader(whole), iotest.ErrReader(wire))
	if _, err := io.ReadAll(input.ZstdFrames(bufio.NewReader(from))); !errors.Is(err, wire) {
		t.Errorf("error %v, want %v", err, wire)
	}
}
