package memory

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/event"
)

// Address is an IP address in 16 bytes without pointers. IPv4 addresses are
// held as mapped ones, which no event carries itself.
type Address struct{ Hi, Lo uint64 }

// ToAddress returns an address in that form.
func ToAddress(a netip.Addr) Address {
	if a.Is4() {
		b := a.As4()
		return Address{0, 0xffff_0000_0000 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// Addr returns the address as others have it.
func (a Address) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return netip.AddrFrom16(b).Unmap()
}

// is4 reports whether it is an IPv4 address.
func (a Address) is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// Unspecified is 0.0.0.0, which gives way to any other address of a set.
func (a Address) Unspecified() bool { return a == Address{0, 0xffff_0000_0000} }

// Record is what identifies an event that a backlog has recorded.
type Record struct {
	// ID is that of the event's id. Within a backlog it alone decides (D35 a).
	ID event.IDHash
	Identity
}

// Identity says which event it was. The zero value is an unknown event, of a file
// of saved backlogs that does not tell.
type Identity struct {
	// Same is the hash of what makes it the same event: id, addresses, ports.
	Same uint64
	// Mark is a hash of the same and of the time as sent (D35 b): its last 16 bits of
	// the ports and the others of the rest, which is what an alarm's id is made of.
	Mark uint64
}

// Identify returns an event's identity. It is the same in every process, because
// it is saved.
func Identify(id event.IDHash, src, dst Address, srcPort, dstPort uint16, sent int64) Identity {
	var buf [5 * 8]byte
	binary.LittleEndian.PutUint64(buf[0:], uint64(id))
	n := len(buf)
	if src.is4() && dst.is4() { // most are, and hash faster
		binary.LittleEndian.PutUint32(buf[8:], uint32(src.Lo))
		binary.LittleEndian.PutUint32(buf[12:], uint32(dst.Lo))
		n = 16
	} else {
		binary.LittleEndian.PutUint64(buf[8:], src.Hi)
		binary.LittleEndian.PutUint64(buf[16:], src.Lo)
		binary.LittleEndian.PutUint64(buf[24:], dst.Hi)
		binary.LittleEndian.PutUint64(buf[32:], dst.Lo)
	}
	rest, ports := xxhash.Sum64(buf[:n]), uint64(srcPort)<<16|uint64(dstPort)
	same := max(1, Mix(rest, ports)) // 0 is unknown
	return Identity{Same: same, Mark: Mix(rest, uint64(sent))<<markPorts | same>>(64-markPorts)}
}

// markPorts is the number of bits of a mark that tell the ports.
const markPorts = 16

// Mix mixes two numbers of which nobody chooses both.
func Mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd6e8feb86659fd93)
	return hi ^ lo
}

// key returns what an event is counted by: if it is unknown, there is only the id.
func (r *Record) key() uint64 {
	if r.Same == 0 {
		return uint64(r.ID)
	}
	return r.Same
}
