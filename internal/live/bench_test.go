package live

import (
	"context"
	"fmt"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/config"
	"dsiem/internal/event"
	"dsiem/test/testkit"
)

// nowhere takes lines and forgets them.
type nowhere struct{}

func (nowhere) Write(context.Context, *alarm.Batch) error { return nil }

// benchTexts returns n events as texts, of which a share (in percent) is wanted by
// one of 1,000 directives.
func benchTexts(b *testing.B, n, share int) ([][]byte, *config.Config) {
	c, err := config.Load(testkit.BenchConfig(1000), "")
	if err != nil {
		b.Fatal(err)
	}
	return testkit.Lines(testkit.BenchEvents(n, share)), c
}

const benchSize = 1024

// BenchmarkQueue measures an event's way through the queue, in both forms.
func BenchmarkQueue(b *testing.B) {
	texts, _ := benchTexts(b, benchSize, 0)
	b.Run("texts", func(b *testing.B) {
		q := NewQueue(QueueOptions{})
		b.ReportAllocs()
		for b.Loop() {
			for _, text := range texts {
				q.Put(text)
			}
			for batch := q.Take(); batch != nil; batch = q.Take() {
				q.Done(batch)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSize, "ns/event")
	})
	b.Run("single", func(b *testing.B) {
		q := NewQueue(QueueOptions{})
		var spare []*event.Batch
		for range benchSize {
			spare = append(spare, event.NewBatch(func(batch *event.Batch) { spare = append(spare, batch) }))
		}
		b.ReportAllocs()
		for b.Loop() {
			for range benchSize {
				batch := spare[len(spare)-1]
				spare = spare[:len(spare)-1]
				batch.Events = append(batch.Events, event.Event{ID: "e"})
				q.Reserve(batch)
				q.PutBatch(batch)
			}
			for batch := q.Take(); batch != nil; batch = q.Take() {
				q.Done(batch)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSize, "ns/event")
	})
}

// BenchmarkDispatch measures an event's whole way from the queue to its lines.
func BenchmarkDispatch(b *testing.B) {
	for _, share := range []int{0, 1, 50} {
		b.Run(fmt.Sprintf("matched=%d%%", share), func(b *testing.B) {
			texts, conf := benchTexts(b, benchSize, share)
			q := NewQueue(QueueOptions{})
			c := NewCorrelator(Options{Config: conf, Shards: 1, Source: q, Output: nowhere{}})
			b.ReportAllocs()
			for b.Loop() {
				for _, text := range texts {
					q.Put(text)
				}
				c.drain(b.Context(), nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchSize, "ns/event")
		})
	}
}
