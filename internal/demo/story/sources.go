package story

import (
	"strconv"

	"dsiem/internal/event"
)

// The hosts of the company. assets_demo.json has the same.
const (
	web01    = "10.20.10.80"
	jump01   = "10.20.10.22"
	dc01     = "10.20.20.5"
	mail01   = "10.20.20.25"
	files01  = "10.20.20.30"
	app01    = "10.20.20.40"
	backup01 = "10.20.20.60"
	scanner  = "10.20.40.99"
)

// The others. All are in documentation ranges (RFC 5737).
const (
	attacker      = "198.51.100.23"
	employee      = "203.0.113.45"
	offsiteBackup = "192.0.2.40"
	videoService  = "203.0.113.200"
)

// What the devices of the company report. Each function completes an event
// that has its addresses and ports.

// dropped is a connection that the firewall refused.
func dropped(ev event.Event) event.Event {
	return firewall(ev, 3, "Dropped", "Firewall: connection dropped")
}

// accepted is a connection that the firewall let through.
func accepted(ev event.Event) event.Event {
	return firewall(ev, 1, "Accepted", "Firewall: connection accepted")
}

// transferred is the end of a connection with which more than 50 MB left.
func transferred(ev event.Event, megabytes int) event.Event {
	ev = firewall(ev, 30, "Large Transfer", "Firewall: session closed, more than 50 MB sent")
	return data(ev, 0, "megabytes sent", strconv.Itoa(megabytes))
}

func firewall(ev event.Event, sid uint64, subcategory, title string) event.Event {
	ev = plugin(ev, "fw01", 1503, sid, title)
	return taxonomy(ev, "Firewall", "Connection", subcategory)
}

// loginFailed, userUnknown and loggedIn are answers of an SSH server.
func loginFailed(ev event.Event, user string) event.Event {
	return sshd(ev, 1, "SSHd: failed password", user)
}

func userUnknown(ev event.Event, user string) event.Event {
	return sshd(ev, 3, "SSHd: invalid user", user)
}

func loggedIn(ev event.Event, user string) event.Event {
	return sshd(ev, 7, "SSHd: login successful, accepted password", user)
}

func sshd(ev event.Event, sid uint64, title, user string) event.Event {
	return data(plugin(ev, nameOf(ev), 4003, sid, title), 0, "user name", user)
}

// sudo is a command run as root.
func sudo(ev event.Event, subcategory, user, command string) event.Event {
	ev.Sensor, ev.Title = nameOf(ev), "Sudo: "+user+" runs "+command+" as root"
	ev = taxonomy(ev, "Linux", "Privilege Escalation", subcategory)
	return data(data(ev, 0, "user name", user), 1, "command", command)
}

// windows is an entry of the security or system log of a Windows host; the
// plugin sid is Windows' own event id.
func windows(ev event.Event, sid uint64, title, user string) event.Event {
	return data(plugin(ev, nameOf(ev), 1518, sid, title), 0, "user name", user)
}

func logonSucceeded(ev event.Event, user string) event.Event {
	return windows(ev, 4624, "Windows: an account was successfully logged on", user)
}

func logonRefused(ev event.Event, user string) event.Event {
	return windows(ev, 4625, "Windows: an account failed to log on", user)
}

func shareAccessed(ev event.Event, user, share string) event.Event {
	ev = windows(ev, 5140, "Windows: a network share object was accessed", user)
	return data(ev, 1, "share", share)
}

func serviceInstalled(ev event.Event, user, service string) event.Event {
	ev = windows(ev, 7045, "Windows: a service was installed in the system", user)
	ev = taxonomy(ev, "Windows", "Remote Execution", "Service Installed")
	return data(ev, 1, "service", service)
}

// technique is a rule of the web application firewall.
type technique struct {
	sid          uint64
	title, query string
}

// techniques returns the rules that watch for the classic web attacks.
func techniques() []technique {
	return []technique{
		{913100, "Security scanner in the user agent", "/"},
		{942100, "SQL injection", "/products?id=1%27%20OR%20%271%27=%271"},
		{930100, "Path traversal", "/download?file=../../../../etc/passwd"},
		{941100, "Cross-site scripting", "/search?q=%3Cscript%3Ealert(1)%3C/script%3E"},
		{932100, "Remote command execution", "/ping?host=127.0.0.1;id"},
		{933100, "PHP injection", "/index.php?page=php://input"},
	}
}

// webAttack is a request that the web application firewall blocked.
func webAttack(ev event.Event, by technique) event.Event {
	ev = plugin(ev, "waf01", 1561, by.sid, "Web application firewall: "+by.title)
	ev = taxonomy(ev, "Web Application Firewall", "Web Attack", by.title)
	return data(ev, 0, "request", "GET "+by.query)
}

// served is an answer of the web server; the plugin sid is the HTTP status.
func served(ev event.Event, status uint64, request string) event.Event {
	ev = plugin(ev, nameOf(ev), 1501, status, "Apache: status "+strconv.FormatUint(status, 10))
	return data(ev, 0, "request", request)
}

// fileChanged is a file that the host's intrusion detection sees changed.
func fileChanged(ev event.Event, subcategory, path string) event.Event {
	ev.Sensor, ev.Title = nameOf(ev), "Host IDS: "+path+" changed"
	return data(taxonomy(ev, "Host IDS", "File Integrity", subcategory), 0, "path", path)
}

// shellStarted is a shell run by the web server's user.
func shellStarted(ev event.Event, command string) event.Event {
	ev.Sensor, ev.Title = nameOf(ev), "Host IDS: the web server started a shell"
	return data(taxonomy(ev, "Host IDS", "Process", "Shell Started By Web Server"), 0, "command", command)
}

// alerted is an alert of the network's intrusion detection.
func alerted(ev event.Event, sid uint64, title, category string) event.Event {
	return taxonomy(plugin(ev, "ids01", 1001, sid, title), "Intrusion Detection System", category, "")
}

func plugin(ev event.Event, sensor string, id, sid uint64, title string) event.Event {
	ev.Sensor, ev.PluginID, ev.PluginSID, ev.Title = sensor, id, sid, title
	return ev
}

func taxonomy(ev event.Event, product, category, subcategory string) event.Event {
	ev.Product, ev.Category, ev.Subcategory = product, category, subcategory
	return ev
}

func data(ev event.Event, i int, label, content string) event.Event {
	ev.CustomLabel[i], ev.CustomData[i] = label, content
	return ev
}

// unknownHost is the name of a host that the story does not have.
const unknownHost = "?"

// nameOf returns the name of the host that reports: the destination.
func nameOf(ev event.Event) string {
	switch ev.DstIP.String() {
	case web01:
		return "web01"
	case jump01:
		return "jump01"
	case dc01:
		return "dc01"
	case mail01:
		return "mail01"
	case files01:
		return "files01"
	case app01:
		return "app01"
	case backup01:
		return "backup01"
	}
	return unknownHost
}
