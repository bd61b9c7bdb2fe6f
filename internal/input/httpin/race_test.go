//go:build race

package httpin_test

const raceEnabled = true
