package correlate

import "dsiem/internal/correlate/counts"

// Stats are an engine's counters, and Sensors the sensors of events that they count.
type (
	Stats   = counts.Stats
	Sensors = counts.Sensors
)

// TakeSensors returns the sensors of the first events of each kind since the last call,
// so that a warning can name them (D43).
func (e *Engine) TakeSensors() Sensors {
	s := e.sensors
	e.sensors = Sensors{}
	return s
}
