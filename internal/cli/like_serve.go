package cli

import (
	"fmt"
	"reflect"

	"dsiem/internal/cli/options"

	"github.com/alecthomas/kong"
)

// likeServe lets a flag that serve has, too, take the same texts as there, and refuse
// others with the same words.
type likeServe struct{}

// Decode reads the value of a flag.
func (likeServe) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	text, next := "true", ctx.Scan.Peek()
	switch {
	case target.Kind() == reflect.Bool && next.Type != kong.FlagValueToken: // it is there, that says enough
	case next.IsEOL(), !next.IsValue() && options.IsFlag(next.String()):
		return fmt.Errorf("it needs a value, as in %s", ctx.Value.Summary())
	default:
		text = fmt.Sprint(ctx.Scan.Pop().Value)
	}
	return options.Read(ctx.Value.Name, text, target.Addr().Interface())
}
