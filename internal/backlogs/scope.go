package backlogs

import (
	"iter"
	"net/netip"
	"strconv"

	"dsiem/internal/alarm"
	"dsiem/internal/config"
)

// child returns the scope of an object that is part of another.
func child(s *config.Scope, where string, v *config.Value) *config.Scope {
	if s.Where != "" {
		where = s.Where + ", " + where
	}
	return &config.Scope{File: s.File, Report: s.Report, Where: where, Object: v}
}

// objects returns scopes for the elements of a list of objects.
func objects(s *config.Scope, key string, required bool) iter.Seq[*config.Scope] {
	list, _ := s.Objects(key, required)
	return func(yield func(*config.Scope) bool) {
		for i, v := range list {
			if !yield(child(s, key+" number "+strconv.Itoa(i+1), v)) {
				return
			}
		}
	}
}

// The seconds that a UNIX time may have: those of the years that a timestamp
// can name (§1.3). A time in another unit would let a backlog live for ever.
const minSeconds, maxSeconds = -8334601228800, 8210266876799

// seconds reads a UNIX time, 0 if it is missing.
func seconds(s *config.Scope, key string, required bool) int64 {
	v := s.Object.Get(key)
	if v == nil {
		if required {
			s.Errorf(s.Object.Offset, key, "the key is missing; %s is required", config.Number)
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
func class(s *config.Scope) alarm.Class {
	const key = "risk_class"
	name := s.String(key, true, "")
	c, ok := alarm.ParseClass(name)
	if !ok {
		s.Errorf(s.Object.Get(key).Offset, key, `%q is not a risk class; use %q, %q, %q, or "" for none`,
			name, alarm.Low, alarm.Medium, alarm.High)
	}
	return c
}

// status reads the state of a rule, Pending if it is missing.
func status(s *config.Scope) alarm.Status {
	const key = "status"
	name := s.String(key, false, "")
	for status := alarm.Pending; status <= alarm.Timeout; status++ {
		if status.String() == name {
			return status
		}
	}
	s.Errorf(s.Object.Get(key).Offset, key, `%q is not the status of a rule; use %q, %q, or "" for none yet`,
		name, alarm.Finished, alarm.Timeout)
	return alarm.Pending
}

// addresses reads a required list of IP addresses. IPv4 addresses written as
// IPv6 are taken for what they are, as in events (§1.4).
func addresses(s *config.Scope, key string) []netip.Addr {
	texts := s.Strings(key, true)
	if len(texts) == 0 {
		return nil
	}
	addrs := make([]netip.Addr, 0, len(texts))
	for i := range s.Object.Get(key).Elems {
		v := &s.Object.Get(key).Elems[i]
		addr, err := netip.ParseAddr(v.Text)
		switch {
		case v.Kind != config.String: // Reported by Strings.
		case err != nil:
			s.Errorf(v.Offset, key, "%q is not an IP address", v.Text)
		case addr.Zone() != "":
			s.Errorf(v.Offset, key, "%q has a zone, which no event carries; remove %q", v.Text, "%"+addr.Zone())
		default:
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}
