package app

import "testing"

func TestPaceOfTheGarbageCollector(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: highestPace, 1: highestPace, 2 << 20: 3200, 8 << 20: 800, 32 << 20: 200, 64 << 20: 100, 4 << 30: 100,
	} {
		if got := pace(live); got != want {
			t.Errorf("with %d bytes that live the pace is %d, want %d", live, got, want)
		}
	}
}
