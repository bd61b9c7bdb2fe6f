package replay

import (
	"fmt"

	"dsiem/internal/text"
)

// advice returns what is worth trying: --sort if more than one record in a hundred is
// older than its input's clock by more than the look-back (D30), and a larger
// --max-jump if most of them are dated ahead of those that follow.
func advice(e *EventCounts, o *Options) []string {
	const percent = 100
	all := []string{}
	if !o.Sort && e.Lagging*percent > e.Offered {
		all = append(all, fmt.Sprintf("%s are %solder than one before them: try --sort", text.Count(e.Lagging, "event"), moreThan(o.lookBack())))
	}
	if 2*e.Future > e.Offered {
		all = append(all, "most events are dated ahead of those that follow, as in a log with the newest first: try --sort and a --max-jump as long as the log")
	}
	return all
}

// moreThan returns by how much more than a look-back something is older, nothing if
// there is none.
func moreThan(lookBack int64) string {
	if lookBack <= 0 {
		return ""
	}
	return fmt.Sprintf("more than %s ", text.Count(int(lookBack), "second"))
}
