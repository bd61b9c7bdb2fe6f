// Command decodebench compares decoders of normalized events: the scanner of
// package event and five JSON libraries. It writes two tables in Markdown: which
// of the rules of acceptance each decoder holds by itself, and how long it takes.
//
//	go run -C tools/decodebench . [-rounds N]
//
// README.md keeps the tables and says what was chosen. It is a module of its own,
// so that the libraries are no dependencies of Dsiem. It owns no state, reads no
// files and opens no connections.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
)

func main() {
	rounds := flag.Int("rounds", 200, "measure everything so many `times`, in turns")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "decodebench:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, rounds int) error {
	var able []candidate
	for _, c := range candidates() {
		if c.missing == "" {
			able = append(able, c)
		} else {
			fmt.Fprintf(out, "Without %s: it %s.\n\n", c.name, c.missing)
		}
	}
	writeRules(out, able)
	tasks := tasksOf(able)
	for range rounds {
		for _, t := range tasks {
			if err := t.measure(); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(out, "\n%s, %s/%s, %s, %s; median of %d rounds (and the fastest one)\n\n",
		time.Now().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, cpuid.CPU.BrandName, runtime.Version(), rounds)
	writeTimes(out, tasks)
	return nil
}

// task is one cell of the table of times.
type task struct {
	decoder, what, text string
	do                  func() error
	took                []time.Duration // of one event, in each round
	allocations         uint64          // of one event
}

const (
	whatMembers  = "members"
	whatEvent    = "event"
	whatIdentity = "identity"
)

// tasksOf returns the tasks of all texts and candidates.
func tasksOf(all []candidate) (tasks []*task) {
	for _, text := range texts() {
		for _, c := range all {
			tasks = append(tasks, c.tasks(text)...)
		}
	}
	return tasks
}

// tasks returns what there is to do with a text: to look at the identity, to read
// the members, and to make an event of them.
func (c *candidate) tasks(text text) []*task {
	var doc document
	decode := func() error { return c.decode(text.data, &doc) }
	event := func() error {
		if err := decode(); err != nil {
			return err
		}
		_, err := complete(&doc)
		return err
	}
	identify := func() error {
		_, err := c.identify(text.data)
		return err
	}
	tasks := []*task{{what: whatIdentity, do: identify}, {what: whatMembers, do: decode}, {what: whatEvent, do: event}}
	if c.complete {
		tasks = []*task{{what: whatIdentity, do: identify}, {what: whatEvent, do: decode}}
	}
	for _, t := range tasks {
		t.decoder, t.text = c.name, text.name
	}
	return tasks
}

// measure adds one measurement. It takes about a millisecond, so that on a
// machine with other work most measurements are not interrupted.
func (t *task) measure() error {
	const times = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	for range times {
		if err := t.do(); err != nil {
			return fmt.Errorf("%s, %s, %s: %w", t.decoder, t.text, t.what, err)
		}
	}
	t.took = append(t.took, time.Since(begun)/times)
	runtime.ReadMemStats(&after)
	t.allocations = (after.Mallocs - before.Mallocs) / times
	return nil
}

// writeTimes writes the table of times in Markdown: a line for each decoder and
// thing to do, a column for each text.
func writeTimes(w io.Writer, tasks []*task) {
	fmt.Fprint(w, "| Decoder | gives |")
	for _, text := range texts() {
		fmt.Fprintf(w, " %s, ns | allocs |", text.name)
	}
	fmt.Fprintln(w, "\n|---|---|"+strings.Repeat("--:|--:|", len(texts())))
	for _, what := range []string{whatIdentity, whatMembers, whatEvent} {
		for _, c := range candidates() {
			writeLine(w, tasks, c.name, what)
		}
	}
}

// writeLine writes a line of the table, nothing if there was nothing to do.
func writeLine(w io.Writer, tasks []*task, decoder, what string) {
	first := true
	for _, t := range tasks {
		if t.decoder != decoder || t.what != what {
			continue
		}
		if first {
			fmt.Fprintf(w, "| %s | %s |", decoder, what)
		}
		first = false
		slices.Sort(t.took)
		fmt.Fprintf(w, " %d (%d) | %d |", t.took[len(t.took)/2].Nanoseconds(), t.took[0].Nanoseconds(), t.allocations)
	}
	if !first {
		fmt.Fprintln(w)
	}
}
