package httpin

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all turns
		begin := time.Now()
		at := func(want time.Duration) {
			t.Helper()
			if got := time.Since(begin); got != want {
				t.Errorf("after %s, want %s", got, want)
			}
		}
		wait := func(ctx context.Context, client string, want bool) *line {
			t.Helper()
			l := all.wait(ctx, client)
			if (l != nil) != want {
				t.Fatalf("%s: turn %v, want %v", client, l != nil, want)
			}
			return l
		}
		most := cap(all.join("a").turn)
		all.leave(all.lines["a"])
		var first *line
		for range most {
			first = wait(t.Context(), "a", true)
		}
		all.end(wait(t.Context(), "b", true))
		at(0)
		wait(t.Context(), "a", false)
		at(turnWait)
		time.AfterFunc(time.Second, func() { all.end(first) })
		wait(t.Context(), "a", true)
		at(turnWait + time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wait(ctx, "a", false)
		at(turnWait + 2*time.Second)
		for range most {
			all.end(first)
		}
		if len(all.lines) > 0 {
			t.Errorf("lines %v", all.lines)
		}
	})
}
