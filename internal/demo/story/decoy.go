package story

import (
	"time"

	"dsiem/internal/event"
)

// decoys tells what looks like an attack and must not raise an alarm.
func (t *teller) decoys() {
	t.scanOwnNetwork()
	t.mistypePassword()
	t.backUp()
	t.upload()
}

// scanOwnNetwork tells the work of the company's vulnerability scanner. Its
// address is whitelisted, so no event of it counts.
func (t *teller) scanOwnNetwork() {
	const portsEach = 30
	targets := []string{web01, jump01, dc01, mail01, files01, app01, backup01}
	var ports []uint16
	t.spread(span{scannerAt, 20 * time.Minute, portsEach * len(targets)}, func(i int) event.Event {
		if i%portsEach == 0 {
			ports = t.closedPorts(portsEach)
		}
		return dropped(t.tcp(scanner, targets[i/portsEach], ports[i%portsEach]))
	})
	known := techniques()
	t.spread(span{scannerAt, 6 * time.Minute, 2 * len(known)}, func(i int) event.Event {
		return webAttack(t.tcp(scanner, web01, 443), known[i%len(known)])
	})
}

// mistypePassword tells an employee who gets the password right at the fourth
// attempt. The brute-force directive takes note and lets it time out.
func (t *teller) mistypePassword() {
	const user = "m.silva"
	for i := range 3 {
		at := mistypedAt + time.Duration(i)*9*time.Second
		t.tell(at, loginFailed(t.tcp(employee, jump01, 22), user))
	}
	t.tell(mistypedAt+41*time.Second, loggedIn(t.tcp(employee, jump01, 22), user))
}

// backUp tells the backup to the off-site server: as large as an exfiltration,
// but to an asset.
func (t *teller) backUp() {
	t.spread(span{backupAt, 17 * time.Minute, 12}, func(int) event.Event {
		return transferred(t.tcp(files01, offsiteBackup, 443), 400+t.rng.IntN(200))
	})
}

// upload tells an employee who publishes three videos: too few to count.
func (t *teller) upload() {
	t.spread(span{uploadsAt, uploadsAt + 90*time.Second, 3}, func(int) event.Event {
		return transferred(t.tcp(workstation(7), videoService, 443), 60+t.rng.IntN(100))
	})
}
