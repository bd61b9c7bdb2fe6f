package limit_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/input/limit"
	"dsiem/test/testkit"

	"pgregory.net/rapid"
)

// One small body of 76,538 events used to stop everybody for 139 seconds.
func TestADebtIsThatOfOneClientAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 1000, Min: 100})
		begin := time.Now()
		ask := func(client string, n int) {
			t.Helper()
			before := time.Now()
			if err := l.Take(t.Context(), client, n); err != nil || time.Since(before) > 0 {
				t.Errorf("%s is answered %v after %s", client, err, time.Since(before))
			}
		}
		ask("other", 1)
		ask("large", 76_538)
		for passed := range 120 {
			ask("other", 10)
			ask(fmt.Sprint("new", passed), 10)
			if err := l.Admit("large"); !errors.Is(err, limit.ErrLimited) {
				t.Fatalf("after %d s the large one is admitted: %v", passed, err)
			}
			testkit.Pass(time.Second)
		}
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: 1, InDebt: 1})
		for errors.Is(l.Admit("large"), limit.ErrLimited) {
			testkit.Pass(time.Second)
		}
		// The others took 2401 events, which is no part of its share, and it waits
		// for the last three seconds: (76538+2401)/550 - 1 - 3.
		if got := time.Since(begin); got != 140*time.Second {
			t.Errorf("its debt is paid after %s", got)
		}
	})
}

// flood takes events for a client, one after the other, and returns how many passed
// until the end.
func flood(t *testing.T, l *limit.Limiter, client string, end time.Time, n int, pause time.Duration) (passed int) {
	for time.Now().Before(end) {
		err := l.Take(t.Context(), client, n)
		switch refusal, refused := errors.AsType[*limit.RefusalError](err); {
		case err == nil:
			passed += n
			time.Sleep(pause)
		case refused:
			time.Sleep(refusal.RetryAfter())
		default:
			t.Error(err)
			return passed
		}
	}
	return passed
}

func TestClientsShareTheLimit(t *testing.T) {
	t.Parallel()
	type sender struct {
		events      int
		pause       time.Duration
		least, most int // events in 100 seconds
	}
	for name, senders := range map[string][]sender{
		"one has all of it":        {{1, 0, 10_000, 10_100}},
		"equal parts":              {{1, 0, 5000, 5200}, {7, 0, 5000, 5200}},
		"of whatever size":         {{1, 0, 5000, 5200}, {900, 0, 4500, 6000}},
		"what one does not use":    {{1, time.Second, 100, 101}, {1, 0, 9800, 10_100}},
		"is for all of the others": {{1, time.Second, 100, 101}, {1, 0, 4900, 5100}, {30, 0, 4900, 5130}},
		"many that send little": {
			{1, time.Second, 99, 101},
			{1, time.Second, 99, 101},
			{1, time.Second, 99, 101},
			{1, time.Second, 99, 101},
			{1, time.Second, 99, 101},
			{1, time.Second, 99, 101},
			{20, 0, 9300, 9600},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := limit.New(limit.Options{Max: 100, Min: 100})
				end := time.Now().Add(100 * time.Second)
				var group sync.WaitGroup
				for i, s := range senders {
					group.Go(func() {
						if got := flood(t, l, fmt.Sprint(i), end, s.events, s.pause); got < s.least || got > s.most {
							t.Errorf("%d got %d, want %d to %d", i, got, s.least, s.most)
						}
					})
				}
				group.Wait()
			})
		})
	}
}

// Whoever sends what: the sum is the limit, with a second's worth for each client
// before and a debt behind.
func TestTheSumIsTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rate := rapid.IntRange(1, 200).Draw(r, "limit")
		clients := rapid.IntRange(1, 12).Draw(r, "clients")
		largest := rapid.SampledFrom([]int{1, 3, 500}).Draw(r, "largest")
		sizes := rapid.SliceOfN(rapid.IntRange(1, largest), clients, clients).Draw(r, "sizes")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 2000), clients, clients).Draw(r, "pauses")
		synctest.Test(t, func(t *testing.T) {
			l := limit.New(limit.Options{Max: rate, Min: rate})
			const seconds = 60
			end := time.Now().Add(seconds * time.Second)
			var group sync.WaitGroup
			var mu sync.Mutex
			sum, slack := 0, 0
			for i := range clients {
				group.Go(func() {
					n := flood(t, l, fmt.Sprint(i), end, sizes[i], time.Duration(pauses[i])*time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					sum += n
					slack += rate + sizes[i]
				})
			}
			group.Wait()
			if most := (seconds+3)*rate + slack; sum > most {
				t.Errorf("%d events passed in %d s, want %d at most", sum, seconds, most)
			}
		})
	})
}

// Those that wait when others come find their share smaller, and do not wait for
// longer than three seconds.
func TestAWaitIsBoundedWhenOthersCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 10, Min: 10})
		if err := l.Take(t.Context(), "a", 30); err != nil { // owes 20
			t.Fatal(err)
		}
		begin := time.Now()
		waited := make(chan error, 1)
		go func() { waited <- takeOne(t, l, "a") }()
		synctest.Wait()
		for i := range 20 {
			if err := l.Take(t.Context(), fmt.Sprint(i), 1000); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-waited; !errors.Is(err, limit.ErrLimited) || time.Since(begin) > 3*time.Second {
			t.Errorf("got %v after %s", err, time.Since(begin))
		}
		testkit.Equal(t, l.Stats(), limit.Stats{RefusedRequests: 1, RefusedEvents: 1})
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: 21, InDebt: 21})
	})
}

// A client of whom nothing is known has the account of the others when all accounts
// are in debt; otherwise one that is full makes room, and then the fullest.
func TestAccountsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 100, Min: 100})
		take := func(client string, n int) {
			t.Helper()
			if err := l.Take(t.Context(), client, n); err != nil {
				t.Errorf("%s: %v", client, err)
			}
		}
		refused := func(client string) {
			t.Helper()
			if err := l.Admit(client); !errors.Is(err, limit.ErrLimited) {
				t.Errorf("%s: got %v", client, err)
			}
		}
		take("debtor", 1000)
		take("idle", 1)
		testkit.Pass(time.Second) // idle is full
		take("busy", 50)
		for i := range limit.MaxClients - 3 {
			take(fmt.Sprint(i), 1000)
		}
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: limit.MaxClients - 1, InDebt: limit.MaxClients - 2})
		take("in place of idle", 1000)
		take("in place of busy", 1000)
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: limit.MaxClients, InDebt: limit.MaxClients})
		refused("debtor")
		take("one of the others", 60)
		take("another one", 60)
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: limit.MaxClients + 1, InDebt: limit.MaxClients + 1, WithoutAccount: 2})
		refused("idle")
		refused("busy") // although that has paid for all it took
		refused("one of the others")
		refused("debtor")
	})
}
