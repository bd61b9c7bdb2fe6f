package replay

import (
	"slices"

	"dsiem/internal/asset"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
)

// job is one batch of an input on its way through the pipeline: read, decoded by
// any decoder, and taken on in the order of reading.
type job struct {
	source source
	batch  file.Batch
	// spooled are the records instead, if they come from a spool, and texts is where
	// it puts their texts.
	spooled []spooled
	texts   []byte
	// base is the input's name in ids, before the number of its records before these.
	base   string
	before int
	// withText says that records need their text.
	withText bool

	// records are the events that are offered. counts tells of all others, and
	// rejections of those that are no event.
	records    []record
	weight     int // of records, in bytes of memory, about
	counts     batchCounts
	rejections []rejection
	decoded    chan struct{}
	// apart says that the job was made to hold records of others.
	apart bool
}

// record is an event that is offered to the engines.
type record struct {
	event event.Event
	// t is its time: as it was sent, and that which it is taken for once it has been
	// judged.
	t int64
	// future is by how much it was dated ahead of its input's clock, if it was not
	// taken for that.
	future int64
	// line is where it stands, number counts the records of the input from 1, and text
	// is what it was decoded from, if that is needed still.
	line      int
	number    int
	text      []byte
	withoutID bool
}

// recordSize is about what a record takes beside its texts.
const recordSize = 512

// rejection is a record that is no event. Its text is gone.
type rejection struct {
	record input.Record
	reason *event.Rejection
}

// batchCounts says what became of records.
type batchCounts struct {
	read, whitelisted, offered, withoutID, repaired int

	skipped [input.Skips]int
	// future were dated ahead of the records around them, late and lagging are older
	// than the clock by a minute, and by more than the look-back.
	future, late, lagging int
}

func (c *batchCounts) add(o batchCounts) {
	c.read += o.read
	for reason, n := range o.skipped {
		c.skipped[reason] += n
	}
	c.repaired += o.repaired
	c.whitelisted += o.whitelisted
	c.offered += o.offered
	c.withoutID += o.withoutID
	c.future += o.future
	c.late += o.late
	c.lagging += o.lagging
}

// decode decodes the records of a file and leaves those that are offered; several
// jobs are decoded at a time. What is not offered counts as read here.
func (j *job) decode(format input.Format, assets *asset.Table) {
	n := j.batch.Len()
	j.records = slices.Grow(j.records[:0], n)[:n]
	j.counts, j.weight = batchCounts{}, 0
	clear(j.rejections)
	j.rejections = j.rejections[:0]
	offered := 0
	for i := range n {
		r, rec := &j.records[offered], j.batch.Record(i)
		skip, rej := input.Decode(rec, format, &r.event)
		switch {
		case skip != 0:
			j.counts.read++
			j.counts.skipped[skip]++
		case rej != nil:
			j.counts.read++
			j.rejections = append(j.rejections, rejection{input.Record{File: rec.File, Line: rec.Line, Column: rec.Column, Element: rec.Element}, rej})
		case assets.Whitelisted(r.event.SrcIP):
			j.counts.read++
			j.counts.whitelisted++
		default:
			r.number = j.before + i + 1
			r.line, r.t, r.future = rec.Line, timeOf(&r.event), 0
			r.name(j.base, rec.Data)
			r.text = nil
			if j.withText {
				r.text = rec.Data
			}
			j.weight += recordSize + len(rec.Data)
			offered++
		}
	}
	j.records = j.records[:offered]
}

// decodeSpooled decodes records of a spool, which were offered when they came from
// their file. Their times have been judged.
func (j *job) decodeSpooled(format input.Format) {
	n := len(j.spooled)
	j.records = slices.Grow(j.records[:0], n)[:n]
	j.counts, j.rejections = batchCounts{}, j.rejections[:0]
	for i := range n {
		r, s := &j.records[i], &j.spooled[i]
		_, _ = input.Decode(input.Record{Data: s.text}, format, &r.event) // it was accepted before
		r.line, r.number, r.t, r.future = s.line, s.number, s.t, 0
		r.name(j.base, s.text)
	}
}

// name gives an event an id if it has none.
func (r *record) name(base string, text []byte) {
	r.withoutID = r.event.ID == ""
	if r.withoutID {
		r.event.ID = event.RecordID(base, r.number, text)
	}
}

// keepFrom takes the records of another job, and makes that other one free, as long
// as there is room for them; it tells whether there was.
func (j *job) keepFrom(o *job) bool {
	if !j.apart || len(j.records)+len(o.records) > cap(j.records) {
		return false
	}
	j.weight += o.weight
	for i := range o.records {
		j.records = append(j.records, o.records[i])
		if r := &j.records[len(j.records)-1]; r.text != nil {
			r.text = slices.Clone(r.text)
		}
	}
	return true
}

// setApart returns a job that holds records of others.
func setApart(room int) *job { return &job{records: make([]record, 0, room), apart: true} }
