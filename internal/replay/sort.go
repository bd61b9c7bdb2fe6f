package replay

import "context"

// sortMemory is how much is sorted in memory, of all inputs together; what is more
// goes to a temporary file in sorted runs.
const sortMemory = 256 << 20

// sortAll puts each input in order of time, once its jumps have been judged (D30).
func (p *pipeline) sortAll(ctx context.Context, inputs []*stream) error {
	p.spooler.limit = p.sortMemory
	for _, in := range inputs {
		to := &spool{in: &p.spooler}
		err := p.putInto(ctx, in, to, func(r *spooled) error { return p.spooler.add(to, *r) })
		if err != nil {
			return err
		}
		in.started, in.clock = false, 0
	}
	p.spooler.sort()
	return p.spooler.flush()
}

// putAway reads an input to its end, when too many others are open, and puts it away
// as it is.
func (p *pipeline) putAway(ctx context.Context, in *stream) error {
	begin, start := in.clock, p.spooler.size
	to := &spool{in: &p.spooler}
	if err := p.putInto(ctx, in, to, p.spooler.write); err != nil {
		return err
	}
	to.runs = append(to.runs, section{start, p.spooler.size - start})
	in.clock = begin
	return p.spooler.flush()
}

// putInto reads an input to its end and puts its records away. From then on it comes
// from there.
func (p *pipeline) putInto(ctx context.Context, in *stream, to *spool, put func(*spooled) error) error {
	p.withText = true
	in.open(ctx, false)
	p.withText = false
	for in.front() {
		r := in.record
		p.tellMoved(in, r)
		if err := put(&spooled{t: r.t, number: r.number, line: r.line, text: r.text}); err != nil {
			return err
		}
		in.next()
	}
	if p.failed != nil {
		return p.failed
	}
	if err := ctx.Err(); err != nil {
		return in.readErr
	}
	to.readErr, to.bytes = in.readErr, p.bytes.read(in)
	in.shut()
	in.spool = to
	return nil
}
