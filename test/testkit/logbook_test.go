package testkit_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"dsiem/test/testkit"
)

func TestLogbookKeepsLines(t *testing.T) {
	t.Parallel()
	var l testkit.Logbook
	fmt.Fprint(&l, "one tw")
	fmt.Fprint(&l, "o\nthree\n\nfo")
	testkit.Equal(t, l.All(), []string{"one two", "three", ""})
	testkit.Equal(t, l.With("two", "one"), []string{"one two"})
	l.End()
	testkit.Equal(t, l.Take(), []string{"one two", "three", "", "fo"})
	testkit.Equal(t, l.String()+l.Tail(), "")
	for i := range 100 {
		l.Logger().Debug("line", "n", i)
	}
	testkit.Equal(t, len(l.All()), 100)
	testkit.Equal(t, l.With("n=40"), []string{"level=DEBUG msg=line n=40"})
	testkit.Equal(t, l.Match(t, `n=(4)$`)+l.Match(t, `n=5$`), "4n=5")
	if l.Until(func(lines []string) bool { return len(lines) > 100 }) {
		t.Error("lines come after the end")
	}
}

func TestLogbookWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l testkit.Logbook
		go func() {
			for i := range 5 {
				testkit.Pass(testkit.Patience / 10)
				fmt.Fprintf(&l, "line %d\n", i)
			}
		}()
		l.Wait(t, 2, "line")
		testkit.Equal(t, len(l.All()), 2)
		line, next := l.WaitAfter(t, 1, "line")
		testkit.Equal(t, fmt.Sprint(line, next), "line 12")
		line, next = l.WaitAfter(t, next, "3")
		testkit.Equal(t, fmt.Sprint(line, next), "line 34")
		if l.Until(func(lines []string) bool { return len(lines) == 6 }) {
			t.Error("a sixth line has come")
		}
		testkit.Equal(t, len(l.All()), 5)
	})
}
