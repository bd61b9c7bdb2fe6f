package correlate

import "math"

// Bound sets the bounds of a new engine.
func (e *Engine) Bound(group, directive, live, considered, offered, remembered, ended, customData, listed, ids int) {
	e.bound(bounds{
		group: group, directive: directive, live: live, bytes: math.MaxInt, directiveBytes: math.MaxInt, considered: considered, offered: offered,
		remembered: remembered, rememberedBytes: specified().rememberedBytes, ended: ended,
		customData: customData, listed: listed, ids: ids,
	})
}
