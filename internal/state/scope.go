package state

import (
	"net/netip"
	"strconv"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
)

// scope returns the scope of an object, whose keys must differ (D25).
func (r *reader) scope(where string, v *jsonfile.Value) *jsonfile.Scope {
	s := &jsonfile.Scope{File: r.file, Report: &r.report, Where: where, Object: v}
	clear(r.keys)
	for i := range v.Members {
		m := &v.Members[i]
		if first, ok := r.keys[m.Name]; ok {
			line, _ := r.file.Position(first)
			s.Errorf(m.Offset, "", "the key %s is given twice, first on line %d; remove one", jsonfile.Quote(m.Name), line)
			continue
		}
		r.keys[m.Name] = m.Offset
	}
	return s
}

// objects returns scopes for the elements of a list of objects in a backlog.
func (r *reader) objects(s *jsonfile.Scope, key string, required bool) []*jsonfile.Scope {
	list, _ := s.Objects(key, required)
	scopes := make([]*jsonfile.Scope, len(list))
	for i, v := range list {
		scopes[i] = r.scope(key+" number "+strconv.Itoa(i+1), v)
	}
	return scopes
}

// number reads a whole number of a range whose numbers T can hold.
func number[T int | int64 | uint16](s *jsonfile.Scope, key string, r jsonfile.Range) T {
	return T(s.Uint(key, r))
}

// The seconds that a UNIX time may have: those of the years that a timestamp
// can name (§1.3). A time in another unit would let a backlog live for ever.
const minSeconds, maxSeconds = -8334601228800, 8210266876799

// seconds reads a UNIX time, 0 if it is missing.
func seconds(s *jsonfile.Scope, key string, required bool) int64 {
	v := s.Object.Get(key)
	if v == nil {
		if required {
			s.Errorf(s.Object.Offset, key, "the key is missing; %s is required", jsonfile.Number)
		}
		return 0
	}
	n := s.Int(key)
	if n < minSeconds || n > maxSeconds {
		s.Errorf(v.Offset, key, "%d is not a time in UNIX seconds", n)
	}
	return n
}

// class reads the risk class.
func class(s *jsonfile.Scope) alarm.Class {
	const key = "risk_class"
	name := s.String(key, true, "")
	c, ok := alarm.ParseClass(name)
	if !ok {
		s.Errorf(s.Object.Get(key).Offset, key, `%s is not a risk class; use %q, %q, %q, or "" for none`,
			jsonfile.Quote(name), alarm.Low, alarm.Medium, alarm.High)
	}
	return c
}

// status reads the state of a rule, Pending if it is missing.
func status(s *jsonfile.Scope) alarm.Status {
	const key = "status"
	name := s.String(key, false, "")
	for status := alarm.Pending; status <= alarm.Timeout; status++ {
		if status.String() == name {
			return status
		}
	}
	s.Errorf(s.Object.Get(key).Offset, key, `%s is not the status of a rule; use %q, %q, or "" for none yet`,
		jsonfile.Quote(name), alarm.Finished, alarm.Timeout)
	return alarm.Pending
}

// addresses reads a required list of IP addresses. IPv4 addresses written as
// IPv6 are taken for what they are, as in events (§1.4).
func addresses(s *jsonfile.Scope, key string) []netip.Addr {
	texts := s.Strings(key, true)
	if len(texts) == 0 {
		return nil
	}
	addrs := make([]netip.Addr, 0, len(texts))
	elems := s.Object.Get(key).Elems
	for i := range elems {
		v := &elems[i]
		addr, err := netip.ParseAddr(v.Text)
		switch {
		case v.Kind != jsonfile.String: // Reported by Strings.
		case err != nil:
			s.Errorf(v.Offset, key, "%s is not an IP address", jsonfile.Quote(v.Text))
		case addr.Zone() != "":
			s.Errorf(v.Offset, key, "%s has a zone, which no event carries; remove %s",
				jsonfile.Quote(v.Text), jsonfile.Quote("%"+addr.Zone()))
		default:
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}
