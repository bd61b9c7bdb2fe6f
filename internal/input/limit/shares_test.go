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
// until the end. Time is that of the test's bubble, which other floods share.
func flood(t *testing.T, l *limit.Limiter, client string, end time.Time, n int, pause time.Duration) (passed int) {
	for time.Now().Before(end) {
		err := l.Take(t.Context(), client, n)
		switch refusal, refused := errors.AsType[*limit.RefusalError](err); {
		case err == nil:
			passed += n
			<-time.After(pause)
		case refused:
			<-time.After(refusal.RetryAfter())
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

// served takes tokens for a client, and fails if that has to wait or is refused.
func served(t *testing.T, l *limit.Limiter, client string, n int) {
	t.Helper()
	before := time.Now()
	if err := errors.Join(l.Admit(client), l.Take(t.Context(), client, n)); err != nil || time.Since(before) > 0 {
		t.Fatalf("%s is answered %v after %s", client, err, time.Since(before))
	}
}

// Who sends one large body from each of many addresses takes nothing from anybody but
// its share while that lasts: nobody has to pay for the debts of others.
func TestMoreDebtorsThanAccountsStopNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 1000, Min: 100})
		for i := range 12_000 {
			served(t, l, fmt.Sprint("debtor", i), 3000)
			if i%100 == 0 {
				served(t, l, "steady", 1)
				testkit.Pass(time.Second)
			}
		}
		for i := range 100 {
			served(t, l, fmt.Sprint("fresh", i), 100)
			served(t, l, "steady", 1)
		}
		testkit.Equal(t, l.Stats(), limit.Stats{})
		// The first debtors and fresh clients have made room; the steady client never.
		const last = limit.MaxClients - 101
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: limit.MaxClients, InDebt: last, Forgotten: 12_000 - last})
		if err := l.Admit("debtor11999"); !errors.Is(err, limit.ErrLimited) {
			t.Errorf("the last debtor is answered %v", err)
		}
	})
}

// The account is forgotten whose client has sent nothing for longest, whatever is in
// it. A request that is refused has been sent, too.
func TestTheAccountOfTheMostSilentClientIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{Max: 100, Min: 100})
		refused := func(client string) {
			t.Helper()
			if err := l.Admit(client); !errors.Is(err, limit.ErrLimited) {
				t.Errorf("%s: got %v", client, err)
			}
		}
		served(t, l, "full", 1)
		testkit.Pass(time.Second)
		served(t, l, "insistent", 1000)
		served(t, l, "silent", 1000)
		for i := range limit.MaxClients - 3 {
			served(t, l, fmt.Sprint(i), 1000)
		}
		const debts = limit.MaxClients - 1
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: debts, InDebt: debts})
		served(t, l, "in place of full", 1000)
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: debts + 1, InDebt: debts + 1})
		refused("insistent")
		served(t, l, "in place of silent", 1000)
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: debts + 1, InDebt: debts + 1, Forgotten: 1})
		refused("insistent")
		refused("0")
		served(t, l, "silent", 1) // in place of 1
		refused("0")
		refused("2")
		served(t, l, "1", 1)
	})
}

// A client whose account is forgotten while it waits passes when it was to pass, even if
// nobody shares the limit then, so that no share of it can be told.
func TestWhoWaitsWithoutAnAccountPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 100_000
		l := limit.New(limit.Options{Max: rate, Min: rate})
		served(t, l, "waits", 3*rate)
		begin := time.Now()
		waited := make(chan error, 1)
		go func() { waited <- takeOne(t, l, "waits") }()
		synctest.Wait()
		for i := range limit.MaxClients {
			served(t, l, fmt.Sprint(i), 1)
		}
		testkit.Equal(t, l.Clients(), limit.Clients{Sharing: limit.MaxClients, Forgotten: 1})
		if err := <-waited; err != nil || time.Since(begin) > 3*time.Second {
			t.Errorf("got %v after %s", err, time.Since(begin))
		}
		testkit.Equal(t, l.Stats(), limit.Stats{WaitedRequests: 1})
		testkit.Equal(t, l.Clients(), limit.Clients{Forgotten: 1})
	})
}
