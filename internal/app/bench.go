package app

import (
	"context"

	"dsiem/internal/bench"
)

// What a benchmark is told; see package bench.
type (
	BenchOptions   = bench.Options
	BenchCell      = bench.Cell
	BenchWorkload  = bench.Workload
	BenchTransport = bench.Transport
	BenchRole      = bench.Role
)

// BenchScenarios returns the cells of the whole matrix.
func BenchScenarios() []BenchCell { return bench.Scenarios() }

// BenchLong returns the cells that are not in the matrix.
func BenchLong() []BenchCell { return bench.LongScenarios() }

// BenchQuick returns a small cell for each transport.
func BenchQuick() []BenchCell { return bench.QuickScenarios() }

// Bench measures the program and checks what it does. It returns an error if
// something was lost, duplicate or wrong, after the report has said what.
func Bench(ctx context.Context, o *BenchOptions) error { return bench.Run(ctx, o) }

// BenchChoose returns the cells with these names.
func BenchChoose(names []string) ([]BenchCell, error) { return bench.Choose(names) }
