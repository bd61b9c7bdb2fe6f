package enrich_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/enrich"
)

// The tests in this file are the scenarios of docs/spec/correlation.md §13.2, as far
// as they concern this package: from the snapshot of an alarm to its line.

const nothing = "no vulnerability found\n"

// twoHosts is an alarm of four stages between two hosts, as it is after a
// stage.
func twoHosts(updated int64) enrich.Request {
	a := &alarm.Alarm{ID: "a", Updated: updated, Rules: []alarm.Rule{{Stage: 1, From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY"}}}
	for stage := 2; stage <= 4; stage++ {
		a.Rules = append(a.Rules, alarm.Rule{Stage: stage, From: "10.0.0.1", To: "10.0.0.2", PortFrom: "ANY", PortTo: "ANY"})
	}
	return enrich.Request{Alarm: a, LastSrcPort: 1000, LastDstPort: 80}
}

func wantLines(t *testing.T, d *desk, want ...string) {
	t.Helper()
	var got []string
	for _, l := range d.lines {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %s", l.Updated, show(l.IntelHits), show(l.Vulnerabilities))))
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("lines, -want +got:\n%s", diff)
	}
}

func wantAsked(t *testing.T, got, want map[string]int) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("requests, -want +got:\n%s", diff)
	}
}

func TestE1(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(map[string]string{
		"/?ip=10.0.0.2&port=80":   `[{"cve":"CVE-1","risk":"High","name":"A"},{"cve":"","risk":"Critical","name":"B"},{"cve":"X","risk":"Low","name":"C"}]`,
		"/?ip=10.0.0.1&port=1000": nothing,
	}))
	d := newDesk(start(t, enrich.Options{Services: nesd(t, client, s.URL)}))
	for updated := range int64(4) {
		d.completes(twoHosts(updated))
		d.settle()
	}
	const hits = "Nesd 10.0.0.2:80 High - A (CVE-1) | Nesd 10.0.0.2:80 Critical - B"
	wantLines(t, d, "0  "+hits, "1  "+hits, "2  "+hits, "3  "+hits)
	wantAsked(t, s.asked(), map[string]int{"/?ip=10.0.0.2&port=80": 1, "/?ip=10.0.0.1&port=1000": 1})
}

// threeSources are the snapshots of an alarm that sees one source after the
// other.
func threeSources() []enrich.Request {
	var out []enrich.Request
	for n := range 3 {
		req := intel([]string{"8.8.8.8", "1.2.3.4", "9.9.9.9"}[:n+1]...)
		req.Alarm.DstIPs = intel("10.0.0.2").Alarm.SrcIPs
		req.Alarm.Updated = int64(n)
		out = append(out, req)
	}
	return out
}

var threeAnswers = map[string]string{
	"/ip/8.8.8.8":  `[{field: "foo.bar", len: 20, value: "Bad Host"},{field: "id", len: 4, value: "abc"}]`,
	"/ip/9.9.9.9":  `[]`,
	"/ip/10.0.0.2": `[]`,
}

func TestE2(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(threeAnswers))
	d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL)}))
	for _, req := range threeSources() {
		d.completes(req)
		d.settle()
	}
	const hit = "Wise 8.8.8.8 foo.bar: Bad Host"
	wantLines(t, d, "0 "+hit, "1 "+hit, "2 "+hit)
	wantAsked(t, s.asked(), map[string]int{"/ip/8.8.8.8": 1, "/ip/1.2.3.4": 2, "/ip/9.9.9.9": 1})
}

func TestE3(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(threeAnswers))
	d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL), IntelPrivateIP: true}))
	for _, req := range threeSources() {
		d.completes(req)
		d.settle()
	}
	const hit = "Wise 8.8.8.8 foo.bar: Bad Host"
	wantLines(t, d, "0 "+hit, "1 "+hit, "2 "+hit)
	wantAsked(t, s.asked(), map[string]int{"/ip/8.8.8.8": 1, "/ip/1.2.3.4": 2, "/ip/9.9.9.9": 1, "/ip/10.0.0.2": 1})
}

func TestE4(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(map[string]string{"/ip/8.8.8.8": `[{field: "foo.bar", len: 25, value: "Bad Host, see field: x"}]`}))
	e := start(t, enrich.Options{Services: wise(t, client, s.URL)})
	for range 2 {
		if got, want := show(ask(e, intel("8.8.8.8")).Intel), "Wise 8.8.8.8 foo.bar: Bad Host, see field: x"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	wantAsked(t, s.asked(), map[string]int{"/ip/8.8.8.8": 1})
}

func TestE5(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(threeAnswers))
	off := services(t, client, "intel_wise.json",
		fmt.Sprintf(`{"intel_sources":[{"name":"Wise","plugin":"Wise","type":"IP","enabled":false,"config":"{\"url\":\"%s/ip/${ip}\"}"}]}`, s.URL))
	e := start(t, enrich.Options{Services: off})
	if len(off) != 0 {
		t.Errorf("there are %d services without a source", len(off))
	}
	if got := show(ask(e, intel("8.8.8.8")).Intel); got != "" {
		t.Error(got)
	}
	wantAsked(t, s.asked(), map[string]int{})
}

// slowWise answers after a time, or never.
func slowWise(delay time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(delay):
			fmt.Fprint(w, `[{field: "list", len: 20, value: "Bad Host"}]`)
		case <-r.Context().Done():
		}
	}
}

func TestE6(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := pipeClient()
		s := serve(t, client, slowWise(4*time.Second))
		d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL)}))
		for i, address := range []string{"8.8.8.1", "8.8.8.2", "8.8.8.3"} {
			req := intel(address)
			req.Alarm.ID, req.Alarm.Updated = fmt.Sprint(i), int64(i)
			d.completes(req)
		}
		if took := time.Since(d.start); took != 0 {
			t.Errorf("submitting took %s", took)
		}
		d.settle()
		// The three results come at one instant, in any order.
		slices.SortFunc(d.lines[3:], func(a, b *alarm.Alarm) int { return cmp.Compare(a.Updated, b.Updated) })
		wantLines(t, d, "0", "1", "2",
			"0 Wise 8.8.8.1 list: Bad Host", "1 Wise 8.8.8.2 list: Bad Host", "2 Wise 8.8.8.3 list: Bad Host")
		if want := []time.Duration{2e9, 2e9, 2e9, 4e9, 4e9, 4e9}; !slices.Equal(d.at, want) {
			t.Errorf("lines are written after %s", d.at)
		}
	})
}

func TestE7(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := pipeClient()
		s := serve(t, client, slowWise(time.Hour))
		d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL)}))
		d.completes(intel("8.8.8.8"))
		d.settle()
		wantLines(t, d, "0")
		if d.at[0] != 2*time.Second {
			t.Errorf("the line is written after %s", d.at[0])
		}
		if took := time.Since(d.start); took != 10*time.Second {
			t.Errorf("the result is there after %s", took)
		}
	})
}

func TestE8(t *testing.T) {
	t.Parallel()
	client := client()
	one := serve(t, client, answers(map[string]string{"/?ip=10.0.0.2&port=80": `[{"risk":"High","name":"A"},{"risk":"High","name":"B"}]`}))
	two := serve(t, client, answers(map[string]string{"/?ip=10.0.0.2&port=80": `[{"risk":"High","name":"B"},{"risk":"Medium","name":"C"}]`}))
	e := start(t, enrich.Options{Services: append(nesd(t, client, one.URL), nesd(t, client, two.URL)...)})
	for range 2 {
		got, want := show(ask(e, vuln("10.0.0.2", 80)).Vulns), "Nesd 10.0.0.2:80 High - A | Nesd 10.0.0.2:80 High - B | Nesd 10.0.0.2:80 Medium - C"
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, s := range []*server{one, two} {
		wantAsked(t, s.asked(), map[string]int{"/?ip=10.0.0.2&port=80": 1})
	}
}

func TestE9(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		asked  int // for two requests
	}{
		{"nothing", 200, nothing, 1},
		{"418", 418, "bad ip or port", 1},
		{"empty list", 200, "[]", 1},
		{"500", 500, "[]", 2},
		{"404", 404, nothing, 2},
		{"invalid JSON", 200, `[{"risk":"High"`, 2},
		{"wrong type", 200, `[{"risk":7,"name":"A"}]`, 2},
		{"empty", 200, "", 2},
		{"too long", 200, strings.Repeat(" ", 1<<20) + "[]", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := client()
			s := serve(t, client, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			d := newDesk(start(t, enrich.Options{Services: nesd(t, client, s.URL)}))
			for range 2 {
				d.completes(vuln("10.0.0.2", 80))
				d.settle()
			}
			wantLines(t, d, "0", "0")
			wantAsked(t, s.asked(), map[string]int{"/?ip=10.0.0.2&port=80": tt.asked})
		})
	}
}

func TestE10(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, nothing) })
	e := start(t, enrich.Options{Services: nesd(t, client, s.URL)})
	ask(e, enrich.Request{
		Alarm:       &alarm.Alarm{Rules: []alarm.Rule{{From: "10.0.0.5,!10.0.0.6, 10.0.0.7,10.1.0.0/16", To: "ANY", PortFrom: "80, 443", PortTo: "ANY"}}},
		LastSrcPort: 5555, LastDstPort: 22,
	})
	want := map[string]int{}
	for _, ip := range []string{"10.0.0.5", "10.0.0.7"} {
		for _, port := range []string{"5555", "80", "443"} {
			want["/?ip="+ip+"&port="+port] = 1
		}
	}
	wantAsked(t, s.asked(), want)
}

func TestE11(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(threeAnswers))
	d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL)}))
	const hit = "Wise 8.8.8.8 foo.bar: Bad Host"
	d.completes(intel("8.8.8.8"))
	d.settle()
	d.completes(intel("8.8.8.8"))
	d.settle()
	known := intel("8.8.8.8") // as an engine that was told of the hit makes it
	known.Alarm.IntelHits = d.lines[0].IntelHits
	d.completes(known)
	d.settle()
	wantLines(t, d, "0 "+hit, "0 "+hit, "0 "+hit)
	wantAsked(t, s.asked(), map[string]int{"/ip/8.8.8.8": 1})
}

func TestE12(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, answers(threeAnswers))
	d := newDesk(start(t, enrich.Options{Services: wise(t, client, s.URL)}))
	d.completes(intel("8.8.8.8"))
	d.settle()
	asked := s.asked()
	d.changes(&alarm.Alarm{ID: "a", Updated: 7})
	d.settle()
	const hit = "Wise 8.8.8.8 foo.bar: Bad Host"
	wantLines(t, d, "0 "+hit, "7 "+hit)
	if !maps.Equal(asked, s.asked()) {
		t.Errorf("asked again: %v", s.asked())
	}
}

// Low risk counts where it is allowed; IPv6 addresses and the first mark are
// put in as they are (§9.1, §9.3).
func TestRequestsAndLowRisk(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"risk":"Low","name":"A","extra":{}},{"risk":"None","name":"B"},{"risk":"low","name":"C"},{"risk":"Low","name":"A"}]`)
	})
	low := services(t, client, "vuln_low.json", fmt.Sprintf(
		`{"vuln_sources":[{"name":"Low","plugin":"Nesd","enabled":true,"config":"{\"url\":\"%s/${port}?ip=${ip}&port=${port}\",\"allow_low_severity\":true}"}]}`, s.URL))
	e := start(t, enrich.Options{Services: low})
	if got, want := show(ask(e, vuln("2001:DB8::1", 22)).Vulns), "Nesd 2001:db8::1:22 Low - A"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wantAsked(t, s.asked(), map[string]int{"/22?ip=2001:db8::1&port=${port}": 1})
}
