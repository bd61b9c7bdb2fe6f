package text_test

import (
	"testing"

	"dsiem/internal/text"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n    int
		want string
	}{
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1,000"},
		{999_999, "999,999"},
		{1_000_000, "1,000,000"},
		{1_234_567_890, "1,234,567,890"},
		{-1, "-1"},
		{-1234, "-1,234"},
	} {
		if got := text.Group(test.n); got != test.want {
			t.Errorf("group(%d) is %s, want %s", test.n, got, test.want)
		}
	}
	if got, want := text.Group(^uint64(0)), "18,446,744,073,709,551,615"; got != want {
		t.Errorf("the largest number is %s, want %s", got, want)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		n           int
		thing, want string
	}{
		{0, "line", "0 lines"},
		{1, "line", "1 line"},
		{2, "line", "2 lines"},
		{1234, "line", "1,234 lines"},
		{1, "entry", "1 entry"},
		{3, "entry", "3 entries"},
		{0, "day", "0 days"},
		{2, "saved backlog", "2 saved backlogs"},
	} {
		if got := text.Count(test.n, test.thing); got != test.want {
			t.Errorf("count(%d, %s) is %s, want %s", test.n, test.thing, got, test.want)
		}
	}
}
