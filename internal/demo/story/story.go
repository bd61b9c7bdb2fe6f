// Package story tells one morning in a small company as normalized events:
// ordinary traffic, one attack from the first scan to the stolen files, and a
// few things that look like attacks and are none.
//
// The package is pure: it reads no clock, does no I/O and keeps no state. The
// same start and seed give the same events. It never decides what the story
// raises; that is up to the engine and the configuration.
package story

import (
	"math/rand/v2"
	"time"

	"dsiem/internal/event"
)

// Length is the event time that the story takes.
const Length = 40 * time.Minute

// Act is a caption for one part of the story.
type Act struct {
	// At is the event time after the start from which the caption is true.
	At time.Duration
	// Text is one sentence without a full stop.
	Text string
}

// The acts of the story, in event time after its start.
const (
	scanWebAt     = 1*time.Minute + 30*time.Second
	scannerAt     = 3 * time.Minute
	scanJumpAt    = 5*time.Minute + 30*time.Second
	mistypedAt    = 6*time.Minute + 20*time.Second
	webAttackAt   = 8*time.Minute + 30*time.Second
	guessingAt    = 11 * time.Minute
	backupAt      = 13 * time.Minute
	guessedAt     = 17*time.Minute + 40*time.Second
	rootAt        = 18*time.Minute + 50*time.Second
	uploadsAt     = 19*time.Minute + 30*time.Second
	refusedAt     = 21 * time.Minute
	administersAt = 23*time.Minute + 10*time.Second
	movesAt       = 24*time.Minute + 30*time.Second
	controlsAt    = 27*time.Minute + 30*time.Second
	stealsAt      = 29 * time.Minute
	webShellAt    = 31*time.Minute + 30*time.Second
	shellsAt      = 36*time.Minute + 10*time.Second
	goneAt        = 39 * time.Minute
)

// Acts returns the captions in order.
func Acts() []Act {
	return []Act{
		{0, "An ordinary morning: web, mail, DNS and log-ins, and the usual knocking from the internet"},
		{scanWebAt, attacker + " scans the ports of web01"},
		{scannerAt, "The company's own vulnerability scanner starts; it is whitelisted, so nothing is raised"},
		{scanJumpAt, attacker + " scans the ports of jump01, too"},
		{mistypedAt, "An employee at home mistypes the password three times; that is no attack"},
		{webAttackAt, attacker + " tries one web attack after another on web01"},
		{guessingAt, attacker + " turns to jump01 and guesses SSH passwords"},
		{backupAt, "The backup leaves for the off-site server; it is an asset, so nothing is raised"},
		{guessedAt, "A guess was right: " + attacker + " logs in on jump01 as deploy"},
		{rootAt, "The intruder becomes root on jump01"},
		{refusedAt, "From jump01, the account svc-backup is tried on one server after another"},
		{movesAt, "svc-backup gets in on files01"},
		{controlsAt, "A service is installed on dc01: the intruder controls the domain"},
		{stealsAt, "files01 starts to send large files to " + attacker},
		{webShellAt, "A file appears in the web root of web01; the attack 23 minutes ago is not forgotten"},
		{shellsAt, "The web server starts one shell after another: a web shell to come back later"},
		{goneAt, "2 GB are gone, but every step was seen"},
	}
}

// Tell returns the events of the story in order of time. It takes Length of
// event time from start. The seed decides what is left to chance: event ids,
// moments, ports, visitors; what happens is the same for every seed.
func Tell(start time.Time, seed uint64) []event.Event {
	const stream = 0xd51e // any constant; a PCG takes two numbers
	t := &teller{
		rng: rand.New(rand.NewPCG(seed, stream)), //nolint:gosec // a demo must be repeatable, not unpredictable
	}
	t.attack()
	t.decoys()
	t.ordinary()
	return t.events(start)
}
