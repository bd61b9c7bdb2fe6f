package enrich_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/alarm"
	"dsiem/internal/enrich"
	"dsiem/test/testkit"
)

var errBroken = errors.New("broken")

func wantText(t *testing.T, what string, got fmt.Stringer, want string) {
	t.Helper()
	if got.String() != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func TestWithoutServices(t *testing.T) {
	t.Parallel()
	e := start(t, enrich.Options{})
	calls := 0
	e.Submit(intel("8.8.8.8"), func(enrich.Result) { calls++ })
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

// Answers, also empty ones, are remembered for the configured time, counted
// from the answer and not from the last use; errors are not (B52).
func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			switch term {
			case "9.9.9.9":
				return nil, nil
			case "1.2.3.4":
				return nil, errBroken
			}
			return knows(ctx, term)
		}}
		var seen outcomes
		e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, CacheTTL: time.Minute}.Observed(seen.observe))
		req := intel("8.8.8.8", "9.9.9.9", "1.2.3.4")
		for _, after := range []time.Duration{0, 59 * time.Second, 2 * time.Second, 59 * time.Second} {
			testkit.Pass(after)
			if got := show(ask(e, req).Intel); got != "Fake 8.8.8.8 bad" {
				t.Error(got)
			}
		}
		wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 2, "9.9.9.9": 2, "1.2.3.4": 4})
		synctest.Wait()
		wantText(t, "outcomes", &seen, "x cached 4, x failed 4, x found 2, x nothing 2")
	})
}

func TestMetricsCountLookups(t *testing.T) {
	t.Parallel()
	f := &fake{answer: knows}
	reg := prometheus.NewPedanticRegistry()
	services := []enrich.Service{f.intel("x")}
	e := start(t, enrich.Options{Services: services, Metrics: enrich.NewMetrics(reg, services)})
	for range 3 {
		ask(e, intel("8.8.8.8"))
	}
	got := testkit.Samples(t, reg)
	for _, want := range []string{
		`dsiem_lookups_total{outcome="hit",source="x"} 1`, `dsiem_lookups_total{outcome="cached",source="x"} 2`,
		`dsiem_lookup_duration_seconds_count 1`,
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %s in:\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestCacheSize(t *testing.T) {
	t.Parallel()
	f := &fake{answer: knows}
	e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, CacheSize: 1})
	for _, address := range []string{"8.8.8.8", "9.9.9.9", "8.8.8.8", "8.8.8.8"} {
		ask(e, intel(address))
	}
	wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 2, "9.9.9.9": 1})
}

// A question that is under way is not asked a second time (singleflight), and
// both requests get the answer.
func TestSameQuestionIsAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			<-time.After(time.Second)
			return knows(ctx, term)
		}}
		var seen outcomes
		e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x"), f.intel("y")}}.Observed(seen.observe))
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if got := show(ask(e, intel("8.8.8.8")).Intel); got != "Fake 8.8.8.8 bad" {
					t.Error(got)
				}
			})
		}
		group.Wait()
		wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 2}) // once per service
		wantText(t, "outcomes", &seen, "x found 1, x joined 9, y found 1, y joined 9")
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		f := &fake{answer: func(context.Context, string) ([]alarm.Hit, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-time.After(time.Second)
			return nil, nil
		}}
		e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, Concurrency: 3})
		begin := time.Now()
		ask(e, intel("8.0.0.1", "8.0.0.2", "8.0.0.3", "8.0.0.4", "8.0.0.5", "8.0.0.6", "8.0.0.7"))
		if most.Load() != 3 {
			t.Errorf("%d look-ups at a time", most.Load())
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// A service that never answers delays no other one, and takes only its own
// findings away.
func TestServicesAreIsolated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := &fake{answer: func(ctx context.Context, _ string) ([]alarm.Hit, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		good := &fake{answer: knows}
		var seen outcomes
		e := start(t, enrich.Options{
			Services: []enrich.Service{stuck.intel("stuck"), good.intel("good")}, Queue: 2, Concurrency: 1,
			Timeout: 11 * time.Second,
		}.Observed(seen.observe))
		var results [5]string
		var group sync.WaitGroup
		for i := range results {
			group.Go(func() { results[i] = show(ask(e, intel(fmt.Sprintf("8.8.8.%d", i))).Intel) })
			synctest.Wait()
		}
		group.Wait()
		for i, got := range results {
			want := fmt.Sprintf("Fake 8.8.8.%d bad", i)
			if i > 1 {
				want = "" // two requests were open
			}
			if got != want {
				t.Errorf("request %d: got %s, want %s", i, got, want)
			}
		}
		testkit.Pass(time.Second)
		wantText(t, "outcomes", &seen, "good dropped 3, good found 2, stuck abandoned 2, stuck dropped 3")
	})
}

// When there is no room, look-ups are dropped, counted and logged, and what the
// cache knows is delivered at once.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			if term != "8.8.8.8" {
				<-time.After(4 * time.Second)
			}
			return knows(ctx, term)
		}}
		var seen outcomes
		log := new(testkit.Logbook)
		e := start(t, enrich.Options{
			Services: []enrich.Service{f.intel("x")}, Queue: 3, Concurrency: 1, Logger: log.Logger(),
		}.Observed(seen.observe))
		ask(e, intel("8.8.8.8"))
		e.Submit(intel("9.9.9.0"), func(enrich.Result) {})
		synctest.Wait() // the only worker is busy
		var first enrich.Result
		e.Submit(intel("9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4", "9.9.9.5"), func(r enrich.Result) { first = r })
		calls := 0
		for range 3 {
			e.Submit(intel("9.9.9.6", "8.8.8.8"), func(r enrich.Result) {
				calls++
				if got := show(r.Intel); got != "Fake 8.8.8.8 bad" {
					t.Error(got)
				}
			})
		}
		if calls != 3 {
			t.Errorf("%d calls at once", calls)
		}
		testkit.Pass(2 * time.Minute)
		if got, want := show(first.Intel), "Fake 9.9.9.1 bad"; got != want { // within the budget
			t.Errorf("got %s, want %s", got, want)
		}
		// The first drop is logged at once, the others after a while.
		wantText(t, "log", log, `level=WARN msg="look-ups dropped, too many are waiting" source=x kind=intel count=2 queue=3`+"\n"+
			`level=WARN msg="look-ups dropped, too many are waiting" source=x kind=intel count=3 queue=3`+"\n")
		wantText(t, "outcomes", &seen, "x abandoned 1, x cached 3, x dropped 5, x found 4")
	})
}

func TestManyOpenRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			<-time.After(time.Second)
			return knows(ctx, term)
		}}
		e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, Queue: 2})
		var calls atomic.Int64
		for range 5 { // of which two may wait for the one answer
			e.Submit(intel("8.8.8.8"), func(enrich.Result) { calls.Add(1) })
		}
		if n := calls.Load(); n != 3 {
			t.Errorf("%d calls at once", n)
		}
		testkit.Pass(2 * time.Second)
		if n := calls.Load(); n != 5 {
			t.Errorf("%d calls", n)
		}
	})
}

// An alarm may have more addresses than a service is asked for; the next
// request goes on where this one stopped.
func TestMaxTerms(t *testing.T) {
	t.Parallel()
	f := &fake{answer: knows}
	var seen outcomes
	log := new(testkit.Logbook)
	e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, MaxTerms: 2, Logger: log.Logger()}.Observed(seen.observe))
	req := intel("8.8.8.1", "8.8.8.2", "8.8.8.3")
	req.Alarm.DstIPs = intel("8.8.8.4", "10.0.0.1").Alarm.SrcIPs
	if got, want := show(ask(e, req).Intel), "Fake 8.8.8.4 bad | Fake 8.8.8.1 bad"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := show(ask(e, req).Intel), "Fake 8.8.8.4 bad | Fake 8.8.8.1 bad | Fake 8.8.8.2 bad | Fake 8.8.8.3 bad"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wantText(t, "outcomes", &seen, "x cached 2, x found 4, x over_limit 2")
	wantText(t, "log", log, `level=WARN msg="look-ups left out, alarms have too many addresses or ports" source=x kind=intel count=2 limit_per_alarm=2`+"\n")
}

// After failures in a row a service is left alone for a while, which is logged
// once, and so is its return.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			if broken.Load() {
				return nil, errBroken
			}
			return knows(ctx, term)
		}}
		var seen outcomes
		log := new(testkit.Logbook)
		e := start(t, enrich.Options{
			Services: []enrich.Service{f.intel("x")}, BreakerFailures: 3, BreakerPause: 30 * time.Second, Logger: log.Logger(),
		}.Observed(seen.observe))
		for range 10 {
			ask(e, intel("8.8.8.8"))
		}
		wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 3})
		for range 2 { // one attempt after each pause
			testkit.Pass(31 * time.Second)
			ask(e, intel("8.8.8.8"))
			ask(e, intel("8.8.8.8"))
		}
		wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 5})
		broken.Store(false)
		testkit.Pass(31 * time.Second)
		if got := show(ask(e, intel("8.8.8.8")).Intel); got != "Fake 8.8.8.8 bad" {
			t.Error(got)
		}
		ask(e, intel("9.9.9.9"))
		wantText(t, "outcomes", &seen, "x failed 5, x found 2, x skipped 9")
		const failed = `level=WARN msg="look-ups failed" source=x kind=intel count=%d last_error=broken` + "\n"
		wantText(t, "log", log, fmt.Sprintf(failed, 1)+
			`level=WARN msg="look-ups fail, leaving the source alone for a while" source=x kind=intel pause=30s`+"\n"+
			fmt.Sprintf(failed, 3)+
			`level=INFO msg="look-ups work again" source=x kind=intel`+"\n")
	})
}

// Answers of no use are about a term: they say nothing of the service (E2).
func TestUnusableAnswersDoNotBreak(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(map[string]string{"/ip/8.8.8.8": `[{field: "a", len: 9, value: "b"}]`, "/ip/9.9.9.9": "<html>"}))
	e := start(t, enrich.Options{Services: wise(t, client, s.URL), BreakerFailures: 2})
	for range 5 {
		ask(e, intel("1.2.3.4", "9.9.9.9"))
	}
	if got := show(ask(e, intel("8.8.8.8")).Intel); got != "Wise 8.8.8.8 a: b" {
		t.Error(got)
	}
	wantAsked(t, s.asked(), map[string]int{"/ip/8.8.8.8": 1, "/ip/9.9.9.9": 5, "/ip/1.2.3.4": 5})
}

// A server's own trouble and one that is not there are failures of the service;
// nothing of the URL is logged, for it may hold a key.
func TestBrokenServers(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"429": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "[")
		},
		"gone": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := client()
			s := serve(t, client, handler)
			if handler == nil {
				s.Close()
			}
			var seen outcomes
			log := new(testkit.Logbook)
			e := start(t, enrich.Options{Services: wise(t, client, s.URL+"/secret"), BreakerFailures: 2, Logger: log.Logger()}.Observed(seen.observe))
			for range 4 {
				ask(e, intel("8.8.8.8"))
			}
			wantText(t, "outcomes", &seen, "Wise failed 2, Wise skipped 2")
			if text := log.String(); strings.Contains(text, "secret") || !strings.Contains(text, `msg="look-ups failed" source=Wise kind=intel count=1 last_error=`) {
				t.Error(text)
			}
		})
	}
}

// When the budget is over, a request gets what is there; what comes later is
// for the cache.
func TestBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			if term == "9.9.9.9" {
				<-time.After(5 * time.Second)
			}
			return knows(ctx, term)
		}}
		e := start(t, enrich.Options{Services: []enrich.Service{f.intel("x")}, Budget: 3 * time.Second})
		testkit.Pass(time.Second) // the watch is not in step with the request
		begin := time.Now()
		result := make(chan enrich.Result, 2)
		soFar := e.Submit(intel("8.8.8.8", "9.9.9.9"), func(r enrich.Result) { result <- r })
		synctest.Wait()
		if got := show(soFar().Intel); got != "Fake 8.8.8.8 bad" {
			t.Error("so far:", got)
		}
		if got := show((<-result).Intel); got != "Fake 8.8.8.8 bad" {
			t.Error(got)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		if got := show(soFar().Intel); got != "Fake 8.8.8.8 bad" {
			t.Error("so far, at the end:", got)
		}
		testkit.Pass(3 * time.Second)
		if got := show(ask(e, intel("8.8.8.8", "9.9.9.9")).Intel); got != "Fake 8.8.8.8 bad | Fake 9.9.9.9 bad" {
			t.Error(got)
		}
		wantAsked(t, f.asked(), map[string]int{"8.8.8.8": 1, "9.9.9.9": 1})
	})
}

// A look-up takes no longer than its time limit.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := pipeClient()
		s := serve(t, client, slowWise(time.Hour))
		log := new(testkit.Logbook)
		var seen outcomes
		e := start(t, enrich.Options{Services: wise(t, client, s.URL), Timeout: time.Second, Logger: log.Logger()}.Observed(seen.observe))
		begin := time.Now()
		ask(e, intel("8.8.8.8"))
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %s", took)
		}
		wantText(t, "log", log, `level=WARN msg="look-ups failed" source=Wise kind=intel count=1 last_error="asking: context deadline exceeded"`+"\n")
		wantText(t, "outcomes", &seen, "Wise abandoned 1")
	})
}

// At the end every open request gets what is known, once; afterwards the cache
// answers. No goroutine is left, or the bubble would complain.
func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := pipeClient()
		s := serve(t, client, slowWise(time.Second))
		e := enrich.New(enrich.Options{Services: wise(t, client, s.URL), Concurrency: 2})
		var before enrich.Result
		e.Submit(intel("8.8.8.8"), func(r enrich.Result) { before = r }) // waits for Run
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		testkit.Pass(2 * time.Second)
		if got := show(before.Intel); got != "Wise 8.8.8.8 list: Bad Host" {
			t.Error(got)
		}
		var calls [10]int
		for i := range calls {
			e.Submit(intel("8.8.8.8", fmt.Sprintf("9.9.9.%d", i)), func(r enrich.Result) {
				calls[i]++
				if got := show(r.Intel); got != "Wise 8.8.8.8 list: Bad Host" {
					t.Error(got)
				}
			})
		}
		testkit.Pass(time.Second / 2)
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("stopping took %s", took)
		}
		for i, n := range calls {
			if n != 1 {
				t.Errorf("request %d: %d calls", i, n)
			}
		}
		after := ""
		e.Submit(intel("8.8.8.8", "7.7.7.7"), func(r enrich.Result) { after += show(r.Intel) })
		if after != "Wise 8.8.8.8 list: Bad Host" {
			t.Errorf("afterwards: %q", after)
		}
	})
}

// Many requests at a time, some of which time out, some of which are dropped:
// each gets one result.
func TestEveryRequestGetsOneResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(ctx context.Context, term string) ([]alarm.Hit, error) {
			delay := time.Duration(len(term)*int(term[len(term)-1])%40) * 100 * time.Millisecond
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if delay > 3*time.Second {
				return nil, errBroken
			}
			return knows(ctx, term)
		}}
		e := enrich.New(enrich.Options{
			Services: []enrich.Service{f.intel("x"), f.intel("y")}, Queue: 20, Concurrency: 2,
			Budget: 3 * time.Second, Timeout: 2 * time.Second, BreakerFailures: 2, BreakerPause: time.Second, CacheTTL: 5 * time.Second,
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running, group sync.WaitGroup
		running.Go(func() {
			if err := e.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		var calls [400]atomic.Int64
		for g := range 4 {
			group.Go(func() {
				for i := range 100 {
					e.Submit(intel(fmt.Sprintf("8.8.8.%d", i), fmt.Sprintf("8.8.%d.%d", g, i%7)), func(enrich.Result) { calls[100*g+i].Add(1) })
					<-time.After(time.Duration(i%5) * 50 * time.Millisecond)
				}
			})
		}
		group.Wait()
		cancel()
		running.Wait()
		for i := range calls {
			if n := calls[i].Load(); n != 1 {
				t.Errorf("request %d: %d calls", i, n)
			}
		}
	})
}
