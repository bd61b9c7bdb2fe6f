package directive

import "encoding/binary"

// The packed form of a plan is, one after the other, its name, kingdom and
// category and then its rules, without what their stages hold. A text is its
// length and its bytes; a list of texts is 0 if it is nil, else its length and
// 1, and its elements; plugin SIDs are the same, with the place of the first
// one in the plan's in place of the elements. Numbers are varints.

// packRule appends a rule whose plugin SIDs begin at a place in the plan's.
func packRule(to []byte, r *Rule, firstSID int) []byte {
	for _, text := range [...]string{r.Name, r.From, r.To, r.PortFrom, r.PortTo, r.Protocol, r.Category} {
		to = packText(to, text)
	}
	for i := range r.CustomData {
		to = packText(packText(to, r.CustomData[i]), r.CustomLabel[i])
	}
	to = packTexts(packTexts(to, r.Product), r.Subcategory)
	to = binary.AppendUvarint(to, r.PluginID)
	if r.PluginSID == nil {
		return packNumber(to, 0)
	}
	return packNumber(packNumber(to, 1+len(r.PluginSID)), firstSID)
}

func packTexts(to []byte, texts []string) []byte {
	if texts == nil {
		return packNumber(to, 0)
	}
	to = packNumber(to, 1+len(texts))
	for _, text := range texts {
		to = packText(to, text)
	}
	return to
}

func packText(to []byte, text string) []byte { return append(packNumber(to, len(text)), text...) }

func packNumber(to []byte, n int) []byte {
	return binary.AppendUvarint(to, uint64(n))
}

// Rule returns the rule of stage i, counted from 0, with its references
// resolved: a field in Origin is meaningless here and has the creating event's
// value in every backlog, any other field has the text to show. Texts and plugin
// SIDs are the plan's own and must not be changed.
func (p *Plan) Rule(i int) Rule {
	s := &p.Stages[i]
	r := Rule{
		Type: s.Type, Stage: int(s.Number), Occurrence: s.Occurrence, Reliability: int(s.Reliability),
		Timeout: s.Timeout, StickyDifferent: s.StickyDifferent,
	}
	u := unpacker(p.packed[s.packed:])
	for _, text := range [...]*string{&r.Name, &r.From, &r.To, &r.PortFrom, &r.PortTo, &r.Protocol, &r.Category} {
		*text = u.text()
	}
	for i := range r.CustomData {
		r.CustomData[i], r.CustomLabel[i] = u.text(), u.text()
	}
	r.Product, r.Subcategory = u.texts(), u.texts()
	r.PluginID = u.number()
	if n := u.number(); n > 0 {
		first := u.number()
		end := first + n - 1
		r.PluginSID = p.sids[first:end:end]
	}
	return r
}

// unpacker is what is left of a packed form.
type unpacker string

func (u *unpacker) text() string {
	n := u.number()
	text := string((*u)[:n])
	*u = (*u)[n:]
	return text
}

func (u *unpacker) texts() []string {
	n := u.number()
	if n == 0 {
		return nil
	}
	texts := make([]string, n-1)
	for i := range texts {
		texts[i] = u.text()
	}
	return texts
}

func (u *unpacker) number() uint64 {
	const more = 0x80 // set in every byte of a varint but the last
	var n uint64
	for i := 0; ; i++ {
		b := (*u)[i]
		n |= uint64(b&^more) << (7 * i)
		if b < more {
			*u = (*u)[i+1:]
			return n
		}
	}
}
