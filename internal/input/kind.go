package input

import "strings"

// Kind is a kind of data that is no text, by its first bytes.
type Kind struct {
	Start string
	// Name goes on with "it is", as in "compressed with xz".
	Name string
}

// The first bytes of the compressions that are read.
const (
	GzipStart = "\x1f\x8b"
	ZstdStart = "\x28\xb5\x2f\xfd"
)

// OtherKinds are those that are not read, so that messages can name them.
func OtherKinds() []Kind { return otherKinds }

var otherKinds = []Kind{ //nolint:gochecknoglobals // a table
	{"\xfd7zXZ\x00", "compressed with xz"},
	{"BZh1", "compressed with bzip2"},
	{"BZh2", "compressed with bzip2"},
	{"BZh3", "compressed with bzip2"},
	{"BZh4", "compressed with bzip2"},
	{"BZh5", "compressed with bzip2"},
	{"BZh6", "compressed with bzip2"},
	{"BZh7", "compressed with bzip2"},
	{"BZh8", "compressed with bzip2"},
	{"BZh9", "compressed with bzip2"},
	{"\x04\x22\x4d\x18", "compressed with lz4"},
	{"\x5d\x00\x00", "compressed with lzma"},
	{"LZIP", "compressed with lzip"},
	{"\x89LZO\x00", "compressed with lzop"},
	{"\xff\x06\x00\x00sNaPpY", "compressed with snappy"},
	{"\x1f\x9d", "compressed with compress"},
	{"\x1f\xa0", "compressed with compress"},
	{"PK\x03\x04", "a zip archive"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{"Rar!\x1a\x07", "a rar archive"},
	{"\xd4\xc3\xb2\xa1", "a capture of packets"},
	{"\xa1\xb2\xc3\xd4", "a capture of packets"},
	{"\x4d\x3c\xb2\xa1", "a capture of packets"},
	{"\xa1\xb2\x3c\x4d", "a capture of packets"},
	{"\x0a\x0d\x0d\x0a", "a capture of packets"},
	{"ElfFile\x00", "a Windows event log"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"PAR1", "a Parquet file"},
	{"Obj\x01", "an Avro file"},
	{"%PDF-", "a PDF document"},
}

// PackedWith returns which of the compressions that are read data begin with, "" for
// none of them.
func PackedWith(data []byte) string {
	switch start := startOf(data); {
	case strings.HasPrefix(start, GzipStart):
		return "gzip"
	case strings.HasPrefix(start, ZstdStart):
		return "zstd"
	}
	return ""
}

// OtherKind returns the name of the kind that is not read and that data begin with, ""
// for none of them.
func OtherKind(data []byte) string {
	start := startOf(data)
	for _, kind := range otherKinds {
		if strings.HasPrefix(start, kind.Start) {
			return kind.Name
		}
	}
	return ""
}

// startOf returns as many bytes as say what data are.
func startOf(data []byte) string {
	const longest = 16
	return string(data[:min(len(data), longest)])
}
