package story

import (
	"fmt"
	"strings"
	"time"

	"dsiem/internal/event"
)

// ordinary tells what happens on any morning. Whatever the seed, nothing in
// here adds up to an alarm: a stranger on the internet knocks on one port only,
// tries one web attack only and comes back too rarely to guess passwords; an
// employee is refused by the domain controller only.
func (t *teller) ordinary() {
	const between = 1450 * time.Millisecond
	kinds := t.ordinaryKinds()
	var all []func(i int) event.Event // each kind as often as its weight
	for _, k := range kinds {
		for range k.weight {
			all = append(all, k.next)
		}
	}
	t.spread(span{0, Length, int(Length / between)}, func(i int) event.Event {
		return pick(t, all)(i)
	})
}

// kind is one kind of ordinary event. next gets the number of the event.
type kind struct {
	weight int
	next   func(i int) event.Event
}

func (t *teller) ordinaryKinds() []kind {
	return []kind{
		{30, t.visit},
		{22, t.resolve},
		{16, t.browse},
		{8, t.knock},
		{8, t.deliver},
		{8, t.logOn},
		{2, t.logOnBadly},
		{2, t.guess},
		{2, t.runBackup},
		{2, t.administer},
		{1, t.update},
		{1, t.probe},
	}
}

// visit is a visitor of the web site, some of them over IPv6: the load balancer
// tells their address.
func (t *teller) visit(int) event.Event {
	visitor := fmt.Sprintf("203.0.113.%d", 100+t.rng.IntN(100))
	if t.rng.IntN(4) == 0 {
		visitor = fmt.Sprintf("2001:db8:%x::%x", 1+t.rng.IntN(64), 1+t.rng.IntN(0xffff))
	}
	status := pick(t, []uint64{200, 200, 200, 200, 200, 304, 304, 301, 404})
	path := pick(t, []string{"/", "/products", "/products/17", "/about", "/search?q=chairs", "/img/logo.png", "/news"})
	return served(t.tcp(visitor, web01, 443), status, "GET "+path)
}

// resolve is a DNS query.
func (t *teller) resolve(int) event.Event {
	name := pick(t, []string{"www", "mail", "cdn", "api", "login", "files", "updates"}) + "." +
		pick(t, []string{"example.com", "example.net", "example.org", "office.example", "corp.example"})
	ev := taxonomy(t.udp(t.anyWorkstation(), dc01, 53), "DNS Server", "Name Resolution", "Query")
	ev.Sensor, ev.Title = nameOf(ev), "DNS query for "+name
	return data(ev, 0, "query", name)
}

// browse is an employee on the web.
func (t *teller) browse(int) event.Event {
	site := fmt.Sprintf("192.0.2.%d", 100+t.rng.IntN(100))
	return accepted(t.tcp(t.anyWorkstation(), site, pick(t, []uint16{443, 443, 443, 80})))
}

// deliver is a mail that arrives or is refused.
func (t *teller) deliver(int) event.Event {
	relay := fmt.Sprintf("192.0.2.%d", 200+t.rng.IntN(20))
	verdict := pick(t, []string{"Accepted", "Accepted", "Accepted", "Rejected"})
	ev := taxonomy(t.tcp(relay, mail01, 25), "Mail Server", "Mail", "Message "+verdict)
	ev.Sensor, ev.Title = nameOf(ev), "Mail: message "+strings.ToLower(verdict)
	ev = data(ev, 0, "sender", pick(t, []string{"news", "orders", "info", "billing"})+"@"+pick(t, []string{"example.com", "example.net", "example.org"}))
	return data(ev, 1, "recipient", userOf(t.rng.IntN(workstations))+"@corp.example")
}

// workstations is the number of workstations and of employees.
const workstations = 24

// workstation returns the address of workstation i.
func workstation(i int) string { return fmt.Sprintf("10.20.30.%d", 10+i) }

func (t *teller) anyWorkstation() string { return workstation(t.rng.IntN(workstations)) }

// userOf returns the employee who works at workstation i.
func userOf(i int) string {
	last := []string{"silva", "keller", "tanaka", "okafor", "novak", "rossi", "haddad", "lind"}
	return string("abcdefg"[i%7]) + "." + last[i%len(last)]
}

// logOn is an employee who starts to work with a server.
func (t *teller) logOn(int) event.Event {
	i := t.rng.IntN(workstations)
	return logonSucceeded(t.tcp(workstation(i), pick(t, []string{dc01, dc01, files01, mail01}), 445), userOf(i))
}

// logOnBadly is an employee who mistypes the password.
func (t *teller) logOnBadly(int) event.Event {
	i := t.rng.IntN(workstations)
	return logonRefused(t.tcp(workstation(i), dc01, 445), userOf(i))
}

// runBackup is the backup at work inside the company, with the account that
// gets stolen.
func (t *teller) runBackup(int) event.Event {
	return logonSucceeded(t.tcp(backup01, pick(t, []string{files01, mail01, app01}), 445), stolenUser)
}

// administer is an administrator at work.
func (t *teller) administer(i int) event.Event {
	const user = "adm-lopez"
	switch i % 3 {
	case 0:
		return loggedIn(t.tcp(workstation(3), pick(t, []string{web01, app01}), 22), user)
	case 1:
		return sudo(host(app01), "Command As Root", user, "/usr/bin/systemctl status app")
	default:
		return fileChanged(host(app01), "File Modified", "/etc/app/app.conf")
	}
}

// update is a server that looks for updates.
func (t *teller) update(int) event.Event {
	mirror := fmt.Sprintf("192.0.2.%d", 230+t.rng.IntN(8))
	ev := t.tcp(pick(t, []string{web01, jump01, app01}), mirror, 80)
	return alerted(ev, 2013504, "ET POLICY GNU/Linux APT User-Agent Outbound likely related to package management", "Not Suspicious Traffic")
}

// strangers is the number of strangers on the internet that bother the company.
const strangers = 100

func stranger(i int) string { return fmt.Sprintf("198.51.100.%d", 100+i%strangers) }

// knock is a stranger on one of the ports that the whole internet knocks on,
// always the same one.
func (t *teller) knock(int) event.Event {
	ports := []uint16{23, 445, 3389, 8080, 2323, 5900, 1433, 3306, 6379}
	i := t.rng.IntN(strangers)
	return dropped(t.tcp(stranger(i), pick(t, []string{web01, jump01, mail01}), ports[i%len(ports)]))
}

// guess is a stranger's guess of a password. Strangers take turns.
func (t *teller) guess(i int) event.Event {
	return loginFailed(t.tcp(stranger(i), jump01, 22), "root")
}

// probe is a stranger who tries the one web attack he knows.
func (t *teller) probe(int) event.Event {
	known := techniques()
	i := t.rng.IntN(strangers)
	return webAttack(t.tcp(stranger(i), web01, 443), known[i%len(known)])
}
