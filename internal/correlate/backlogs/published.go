package backlogs

import "strings"

// Published finds the live alarms that Enrich may be about, by id. Ids of the usual
// form cost a garbage collection nothing.
type Published struct {
	usual  map[[IDLength]byte]Handle
	others map[string]Handle
}

// Find returns the backlog with an id, 0 if there is none.
func (p *Published) Find(id string) Handle {
	if len(id) == IDLength {
		if h := p.usual[[IDLength]byte([]byte(id))]; h != 0 {
			return h
		}
	}
	return p.others[id]
}

// Add adds a backlog with its id. The first one of an id counts, as ids of restored
// backlogs need not differ.
func (p *Published) Add(b *Backlog, id string) {
	switch {
	case p.Find(id) != 0:
	case b.ID[0] != 0:
		if p.usual == nil {
			p.usual = map[[IDLength]byte]Handle{}
		}
		p.usual[b.ID] = b.Self
	default:
		if p.others == nil {
			p.others = map[string]Handle{}
		}
		p.others[strings.Clone(id)] = b.Self
	}
}

// Remove removes a backlog, if it is there under its id.
func (p *Published) Remove(b *Backlog, id string) {
	switch h := p.Find(id); {
	case h != b.Self:
	case b.ID[0] != 0:
		delete(p.usual, b.ID)
	default:
		delete(p.others, id)
	}
}
