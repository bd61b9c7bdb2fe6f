package correlate

import "strings"

// published finds the live alarms that Enrich may be about, by id. Ids of the usual
// form cost a garbage collection nothing.
type published struct {
	usual  map[[idLength]byte]handle
	others map[string]handle
}

func (p *published) find(id string) handle {
	if len(id) == idLength {
		if h := p.usual[[idLength]byte([]byte(id))]; h != 0 {
			return h
		}
	}
	return p.others[id]
}

// add adds a backlog with its id. The first one of an id counts, as ids of restored
// backlogs need not differ.
func (p *published) add(b *backlog, id string) {
	switch {
	case p.find(id) != 0:
	case b.id[0] != 0:
		if p.usual == nil {
			p.usual = map[[idLength]byte]handle{}
		}
		p.usual[b.id] = b.self
	default:
		if p.others == nil {
			p.others = map[string]handle{}
		}
		p.others[strings.Clone(id)] = b.self
	}
}

// remove removes a backlog, if it is there under its id.
func (p *published) remove(b *backlog, id string) {
	switch h := p.find(id); {
	case h != b.self:
	case b.id[0] != 0:
		delete(p.usual, b.id)
	default:
		delete(p.others, id)
	}
}
