package node

import "testing"

func TestPaceOfTheGarbageCollector(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: usualPace, 1: smallPace, 1 << 20: 3200, 8 << 20: 400, 16 << 20: 200, 32 << 20: 100, 4 << 30: 100,
	} {
		if got := pace(live, usualPace); got != want {
			t.Errorf("with %d bytes that live the pace is %d, want %d", live, got, want)
		}
	}
	if got := pace(64<<20, 300); got != 300 {
		t.Errorf("the pace of a busy server is %d, want 300", got)
	}
}

func TestBusyCollectionsBecomeLazy(t *testing.T) {
	t.Parallel()
	l := laziness{pace: usualPace}
	for i, want := range []int{100, 100, 150, 225, 337, 400, 400} {
		if l.next(0.3); l.pace != want {
			t.Errorf("after %d busy seconds the pace is %d, want %d", i+1, l.pace, want)
		}
	}
	if l.next(0.04); l.pace != lazyPace {
		t.Errorf("a share that is right changes the pace to %d", l.pace)
	}
	if l.next(0.2); l.pace != lazyPace || l.seconds != 1 {
		t.Errorf("one busy second changes the pace to %d after %d", l.pace, l.seconds)
	}
	for range 20 {
		l.next(0)
	}
	if l.pace != usualPace || l.seconds != 0 {
		t.Errorf("an idle server has the pace %d", l.pace)
	}
}
