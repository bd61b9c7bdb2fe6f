package bench

import "github.com/alecthomas/kong"

// CommandCells returns what dsiem-bench measures with these flags.
func CommandCells(args ...string) ([]Cell, error) {
	var c command
	parser, err := kong.New(&c)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	return c.cells()
}
