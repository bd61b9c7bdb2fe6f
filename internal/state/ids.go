package state

import "dsiem/internal/correlate/backlogs"

// ids has a number, 1 or more, for each of some alarm ids. A directive may have a
// million: those of the usual form have no memory of their own.
type ids struct {
	usual  map[[backlogs.IDLength]byte]int32
	others map[string]int32
}

// get returns the number of an id, 0 if it has none.
func (x *ids) get(id string) int {
	if len(id) == backlogs.IDLength {
		return int(x.usual[[backlogs.IDLength]byte([]byte(id))])
	}
	return int(x.others[id])
}

// set gives an id a number.
func (x *ids) set(id string, number int) {
	if x.usual == nil {
		x.usual, x.others = map[[backlogs.IDLength]byte]int32{}, map[string]int32{}
	}
	if len(id) == backlogs.IDLength {
		x.usual[[backlogs.IDLength]byte([]byte(id))] = int32(number) //nolint:gosec // no file has as many backlogs
		return
	}
	x.others[id] = int32(number) //nolint:gosec // as above
}
