package event

// Reason says why an event was rejected. The set is closed, so that it can
// label a metric; Accepted is its zero value.
type Reason uint8

// The reasons, in order of precedence: Decode gives the first one that applies.
const (
	// Accepted marks an event that was not rejected.
	Accepted Reason = iota
	// TooLarge is a text of more than MaxSize bytes.
	TooLarge
	// BadEncoding is text in UTF-16, or a body whose compression is damaged, is not said
	// or is not read. Single bytes that are not UTF-8 are repaired (D39).
	BadEncoding
	// BadJSON is text that is not one JSON object.
	BadJSON
	// DuplicateKey is a field given twice, unless it only informs (D39).
	DuplicateKey
	// BadType is a value that is neither what its field wants nor can be taken as
	// such (D39), or null where a value is required.
	BadType
	// OutOfRange is a number that its field cannot hold: a fraction, a negative
	// number or one that is too large.
	OutOfRange
	// BadTimestamp is a missing timestamp or one outside the grammar (§1.3).
	BadTimestamp
	// BadAddress is a missing src_ip or dst_ip or one outside the grammar (§1.4).
	BadAddress
	// NoIdentity is an event with neither plugin_id and plugin_sid nor product
	// and category (§1.2).
	NoIdentity
	// Unwanted is an event that no rule names, whose other members were not
	// looked at (see Screen).
	Unwanted
	// Whitelisted is an event whose source address is whitelisted (§10).
	// The decoder never gives it, nor Unwanted; whoever holds the assets and the
	// directives does.
	Whitelisted

	// Reasons is the number of reasons, Accepted included.
	Reasons = iota
)

// String returns the reason's name as it stands in metrics and summaries.
func (r Reason) String() string {
	switch r {
	case Accepted:
		return "accepted"
	case TooLarge:
		return "too_large"
	case BadEncoding:
		return "bad_encoding"
	case BadJSON:
		return "bad_json"
	case DuplicateKey:
		return "duplicate_key"
	case BadType:
		return "bad_type"
	case OutOfRange:
		return "out_of_range"
	case BadTimestamp:
		return "bad_timestamp"
	case BadAddress:
		return "bad_address"
	case NoIdentity:
		return "no_identity"
	case Unwanted:
		return "unwanted"
	case Whitelisted:
		return "whitelisted"
	}
	return "unknown"
}

// Rejection is the error of an event that was not accepted.
type Rejection struct { //nolint:errname // the word of the field; it is an outcome to count first, an error second
	Reason Reason
	// Field is the JSON key the rejection is about, or "".
	Field string
	// Detail says in a few words what is wrong.
	Detail string
}

func (r *Rejection) Error() string {
	if what := r.What(); what != "" {
		return r.Reason.String() + ": " + what
	}
	return r.Reason.String()
}

// What says what is wrong where, for people who know the reason.
func (r *Rejection) What() string {
	if r.Field != "" && r.Detail != "" {
		return r.Field + ": " + r.Detail
	}
	return r.Field + r.Detail
}
