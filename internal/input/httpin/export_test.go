package httpin

// ShortestEvent is the length below which a record cannot be an event.
const ShortestEvent = shortestEvent

// BodiesAtATime is how many bodies of one client that cost much are read at a time.
func BodiesAtATime() uint64 { return uint64(cap(newLine().turn)) }
