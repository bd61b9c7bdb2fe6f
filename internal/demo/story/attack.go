package story

import (
	"time"

	"dsiem/internal/event"
)

// The stolen accounts.
const (
	guessedUser = "deploy"
	stolenUser  = "svc-backup"
)

// attack tells the attack from the first scan to the stolen files.
func (t *teller) attack() {
	t.scan(span{scanWebAt, scanWebAt + 6*time.Minute, 100}, web01)
	t.scan(span{scanJumpAt, scanJumpAt + 4*time.Minute + 30*time.Second, 45}, jump01)
	t.tell(scanJumpAt+time.Second, alerted(t.tcp(attacker, jump01, 22), 2001219, "ET SCAN Potential SSH Scan", "Attempted Information Leak"))
	t.attackWeb()
	t.guessPasswords()
	t.moveOn()
	t.steal()
	t.plantWebShell()
}

// scan tells a port scan: as many different ports as the span has events, some
// of them tried twice.
func (t *teller) scan(s span, target string) {
	const retryEvery, retryAt = 8, 4
	ports := t.closedPorts(s.n)
	for i, port := range ports {
		ev := dropped(t.tcp(attacker, target, port))
		at := t.at(s, i)
		t.tell(at, ev)
		if i%retryEvery == retryAt {
			t.tell(at+s.step()/6, ev)
		}
	}
}

// closedPorts returns n different ports below 1024 on which nobody listens.
func (t *teller) closedPorts(n int) []uint16 {
	const below = 1024
	ports := make([]uint16, 0, n)
	for _, p := range t.rng.Perm(below) {
		switch p {
		case 0, 22, 80, 443: // no port; SSH and web, which the firewall lets through
			continue
		}
		if len(ports) == n {
			break
		}
		ports = append(ports, uint16(p))
	}
	return ports
}

// attackWeb tells attacks on the web server, all blocked.
func (t *teller) attackWeb() {
	known := techniques()
	order := []int{0, 0, 1, 1, 2, 3, 4, 1, 5, 2, 4, 1}
	t.spread(span{webAttackAt, webAttackAt + 2*time.Minute + 10*time.Second, len(order)}, func(i int) event.Event {
		return webAttack(t.tcp(attacker, web01, 443), known[order[i]])
	})
}

// guessPasswords tells the brute force on SSH, the right guess and how the
// intruder becomes root.
func (t *teller) guessPasswords() {
	users := []string{"root", "admin", "ubuntu", "oracle", "test", guessedUser}
	existing := map[string]bool{"root": true, guessedUser: true}
	t.spread(span{guessingAt, guessedAt - 5*time.Second, 65}, func(i int) event.Event {
		ev, user := t.tcp(attacker, jump01, 22), users[i%len(users)]
		if existing[user] {
			return loginFailed(ev, user)
		}
		return userUnknown(ev, user)
	})
	t.tell(guessedAt, loggedIn(t.tcp(attacker, jump01, 22), guessedUser))
	t.tell(rootAt, sudo(host(jump01), "Root Shell", guessedUser, "/bin/bash"))
}

// moveOn tells how the intruder tries a stolen account on the servers, gets in
// and takes over the domain controller. Meanwhile an administrator works on the
// same jump host, which has nothing to do with it.
func (t *teller) moveOn() {
	refused := []string{app01, app01, mail01, dc01}
	t.spread(span{refusedAt, refusedAt + 2*time.Minute, len(refused)}, func(i int) event.Event {
		return logonRefused(t.tcp(jump01, refused[i], 445), stolenUser)
	})
	t.tell(administersAt, logonSucceeded(t.tcp(jump01, app01, 3389), "adm-lopez"))
	t.tell(movesAt, logonSucceeded(t.tcp(jump01, files01, 445), stolenUser))
	for i, share := range []string{`\\files01\finance`, `\\files01\contracts`, `\\files01\hr`} {
		at := movesAt + time.Duration(i+1)*15*time.Second
		t.tell(at, shareAccessed(t.tcp(jump01, files01, 445), stolenUser, share))
	}
	t.tell(movesAt+time.Minute+10*time.Second, serviceInstalled(t.tcp(jump01, files01, 445), stolenUser, "WinUpdtSvc"))
	t.tell(controlsAt-10*time.Second, logonSucceeded(t.tcp(jump01, dc01, 445), stolenUser))
	t.tell(controlsAt, serviceInstalled(t.tcp(jump01, dc01, 445), stolenUser, "WinUpdtSvc"))
}

// steal tells the exfiltration, about 2 GB in 30 transfers.
func (t *teller) steal() {
	t.spread(span{stealsAt, goneAt, 30}, func(int) event.Event {
		return transferred(t.tcp(files01, attacker, 443), 55+t.rng.IntN(30))
	})
}

// plantWebShell tells the back door that the intruder leaves.
func (t *teller) plantWebShell() {
	const path = "/var/www/html/img/.thumb.php"
	t.tell(webShellAt-20*time.Second, loggedIn(t.tcp(jump01, web01, 22), guessedUser))
	t.tell(webShellAt, fileChanged(host(web01), "File Added", path))
	for i, command := range []string{"id", "uname -a", "cat /etc/passwd"} {
		at := shellsAt - time.Duration(2-i)*70*time.Second
		t.tell(at-200*time.Millisecond, served(t.tcp(attacker, web01, 443), 200, "POST /img/.thumb.php"))
		t.tell(at, shellStarted(host(web01), "sh -c "+command))
	}
}
