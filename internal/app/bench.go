package app

import (
	"context"

	"dsiem/internal/bench"
)

// BenchOptions, BenchCell, BenchWorkload, BenchTransport and BenchRole are those of package bench.
type (
	BenchOptions   = bench.Options
	BenchCell      = bench.Cell
	BenchWorkload  = bench.Workload
	BenchTransport = bench.Transport
	BenchRole      = bench.Role
)

// ErrBenchWrong is the error of Bench when a server lost or doubled something, or
// did something wrong.
var ErrBenchWrong = bench.ErrWrong

// BenchScenarios returns the cells of the whole matrix, BenchQuick a small one
// for each transport.
func BenchScenarios() []BenchCell { return bench.Scenarios() }

// BenchQuick returns a small cell for each transport.
func BenchQuick() []BenchCell { return bench.QuickScenarios() }

// Bench measures the program and checks what it does.
func Bench(ctx context.Context, o *BenchOptions) error { return bench.Run(ctx, o) }
