//go:build !race

package httpintake_test

const raceEnabled = false
