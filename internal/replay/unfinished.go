package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/correlate"
	"dsiem/internal/text"
)

// Unfinished are backlogs of one directive that ended at the same stage for the same
// reason.
type Unfinished struct {
	Directive uint64 `json:"directive"`
	Stage     int    `json:"stage"`
	// Why is "timed out", or "live" for those that were so at the end.
	Why      string `json:"why"`
	Backlogs int    `json:"backlogs"`
	// Least and Most are the smallest and the largest number of events that the stage
	// had, of Wanted.
	Least  uint64 `json:"least"`
	Most   uint64 `json:"most"`
	Wanted uint64 `json:"wanted"`
}

// The reasons of Unfinished.
const (
	timedOut = "timed out"
	live     = "live"
)

// unfinished counts unfinished backlogs. There are as many kinds as stages, not as
// backlogs.
type unfinished map[unfinishedKind]*Unfinished

type unfinishedKind struct {
	directive, wanted uint64
	stage             int
	why               string
}

func (u unfinished) add(w correlate.Waiting, why string) {
	kind := unfinishedKind{w.Directive, w.Wanted, w.Stage, why}
	one := u[kind]
	if one == nil {
		one = &Unfinished{Directive: w.Directive, Stage: w.Stage, Why: why, Least: w.Recorded, Wanted: w.Wanted}
		u[kind] = one
	}
	one.Backlogs++
	one.Least, one.Most = min(one.Least, w.Recorded), max(one.Most, w.Recorded)
}

// all returns what was counted, by directive and stage.
func (u unfinished) all() []Unfinished {
	all := make([]Unfinished, 0, len(u))
	for _, one := range u {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Unfinished) int {
		return cmp.Or(
			cmp.Compare(a.Directive, b.Directive), cmp.Compare(a.Stage, b.Stage),
			-strings.Compare(a.Why, b.Why), cmp.Compare(a.Wanted, b.Wanted),
		)
	})
	return all
}

// String says it for people.
func (u *Unfinished) String() string {
	had := strconv.FormatUint(u.Most, 10)
	if u.Least < u.Most {
		had = fmt.Sprint(u.Least, " to ", u.Most)
	}
	return fmt.Sprintf("directive %d, stage %d: %s %s with %s of %d", u.Directive, u.Stage, text.Group(u.Backlogs), u.Why, had, u.Wanted)
}

// shownUnfinished is the number of kinds of unfinished backlogs that are shown to
// people: those of most backlogs.
const shownUnfinished = 10

// unfinishedLines are the lines for people.
func unfinishedLines(all []Unfinished) []string {
	shown := all
	if len(all) > shownUnfinished {
		shown = slices.Clone(all)
		slices.SortStableFunc(shown, func(a, b Unfinished) int { return cmp.Compare(b.Backlogs, a.Backlogs) })
		shown = shown[:shownUnfinished]
	}
	lines := make([]string, 0, len(shown)+1)
	for i := range shown {
		lines = append(lines, shown[i].String())
	}
	if n := len(all) - len(shown); n > 0 {
		lines = append(lines, fmt.Sprintf("and at %s more; --json names all", text.Count(n, "stage")))
	}
	return lines
}
