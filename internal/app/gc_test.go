package app

import "testing"

func TestPaceOfTheGarbageCollector(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: usualPace, 1: highestPace, 1 << 20: 3200, 8 << 20: 400, 16 << 20: 200, 32 << 20: 100, 4 << 30: 100,
	} {
		if got := pace(live); got != want {
			t.Errorf("with %d bytes that live the pace is %d, want %d", live, got, want)
		}
	}
}
