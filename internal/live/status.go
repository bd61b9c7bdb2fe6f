package live

import (
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/web/status"
)

// shown returns an alarm as the status page shows it.
func shown(now time.Time, a *alarm.Alarm) status.Alarm {
	return status.Alarm{Time: now, ID: a.ID, Title: a.Title, Risk: a.Risk, Class: a.Class.String()}
}
