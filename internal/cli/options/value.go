package options

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dsiem/internal/correlate"
)

// value is where the text of an option goes.
type value interface {
	// set takes the texts of one source: several if a flag was repeated. An
	// impossible text changes nothing.
	set(texts []string) (ok bool)
	// get returns the value as it is logged.
	get() any
	// placeholder stands for the value in help, "" if there is none.
	placeholder() string
	// accepts says which texts are possible, as in "use …".
	accepts() string
}

// last is what counts of a repeated flag: a unit file that appends to another's
// arguments must be able to change them.
func last(texts []string) string { return texts[len(texts)-1] }

// text is any text, an empty one only if it is optional.
type text struct {
	p        *string
	form     string
	optional bool
}

func (v text) set(texts []string) bool {
	if last(texts) == "" && !v.optional {
		return false
	}
	*v.p = last(texts)
	return true
}

func (v text) get() any            { return *v.p }
func (v text) placeholder() string { return v.form }
func (v text) accepts() string     { return "a text that is not empty" }

// choice is one of a few words, in any case.
type choice struct {
	p  *string
	of []string
}

func (v choice) set(texts []string) bool {
	i := slices.IndexFunc(v.of, func(word string) bool { return strings.EqualFold(word, strings.TrimSpace(last(texts))) })
	if i < 0 {
		return false
	}
	*v.p = v.of[i]
	return true
}

func (v choice) get() any            { return *v.p }
func (v choice) placeholder() string { return strings.Join(v.of, "|") }

func (v choice) accepts() string {
	end := len(v.of) - 1
	return strings.Join(v.of[:end], ", ") + " or " + v.of[end]
}

// toggle is on or off.
type toggle struct{ p *bool }

func (v toggle) set(texts []string) bool {
	on, ok := parseBool(last(texts))
	if ok {
		*v.p = on
	}
	return ok
}

func (v toggle) get() any            { return *v.p }
func (v toggle) placeholder() string { return "" }
func (v toggle) accepts() string     { return "true, yes, on or 1; false, no, off or 0" }

// parseBool reads the words of docs/spec/interfaces.md §1.6.
func parseBool(text string) (on, ok bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "t", "true", "yes", "on":
		return true, true
	case "0", "f", "false", "no", "off":
		return false, true
	}
	return false, false
}

// counter counts how often a flag is given, as in -vv.
type counter struct{ p *int }

func (v counter) set(texts []string) bool {
	sum := 0
	for _, text := range texts {
		n, ok := parseInt(text, 0, math.MaxInt)
		if !ok {
			return false
		}
		sum += min(n, math.MaxInt-sum)
	}
	*v.p = sum
	return true
}

func (v counter) get() any            { return *v.p }
func (v counter) placeholder() string { return "" }
func (v counter) accepts() string     { return "it without a value, once or more, or a number" }

// number is a whole number from min to max.
type number struct {
	p        *int
	min, max int
}

func (v number) set(texts []string) bool {
	n, ok := parseInt(last(texts), v.min, v.max)
	if ok {
		*v.p = n
	}
	return ok
}

func (v number) get() any            { return *v.p }
func (v number) placeholder() string { return "N" }

func (v number) accepts() string {
	if v.max < math.MaxInt {
		return "a whole number from " + strconv.Itoa(v.min) + " to " + strconv.Itoa(v.max)
	}
	return "a whole number, at least " + strconv.Itoa(v.min)
}

func parseInt(text string, lowest, highest int) (n int, ok bool) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	return n, err == nil && n >= lowest && n <= highest
}

// span is a length of time: a whole number of units, or with units of its own.
// Whole numbers may be as large as the original's; what a time.Duration cannot
// hold becomes the longest one, 292 years.
type span struct {
	p    *time.Duration
	unit time.Duration // time.Second or time.Minute
	min  time.Duration
}

func (v span) set(texts []string) bool {
	text := strings.TrimSpace(last(texts))
	d, err := time.ParseDuration(text)
	if n, ok := parseInt(text, 0, math.MaxInt); ok {
		d, err = math.MaxInt64, nil
		if int64(n) <= math.MaxInt64/int64(v.unit) {
			d = time.Duration(n) * v.unit
		}
	}
	if err != nil || d < v.min || d < 0 {
		return false
	}
	*v.p = d
	return true
}

func (v span) get() any            { return v.p.String() }
func (v span) placeholder() string { return strings.ToUpper(v.units()) }

func (v span) units() string {
	if v.unit == time.Minute {
		return "minutes"
	}
	return "seconds"
}

func (v span) accepts() string {
	return "a number of " + v.units() + ", at least " + strconv.FormatInt(int64(v.min/v.unit), 10) + ", or a duration like 1m30s"
}

// engineTime is a span that the engine's options can have, if it must be so in whole
// seconds.
type engineTime struct {
	span

	whole bool
}

func (v engineTime) set(texts []string) bool {
	var d time.Duration
	if !(span{&d, v.unit, v.min}).set(texts) || !possibleTime(d, v.whole) {
		return false
	}
	*v.p = d
	return true
}

func (v engineTime) accepts() string {
	text := "a number of seconds"
	if v.whole {
		text = "whole seconds"
	}
	return text + ", at most " + strconv.Itoa(correlate.Longest) + ", or a duration like 1m30s"
}

// list is a list with commas in between; a repeated flag adds to it. Blanks
// around the items do not count.
type list struct {
	p    *[]string
	form string
}

func (v list) set(texts []string) bool {
	var items []string
	for item := range strings.SplitSeq(strings.Join(texts, ","), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return false
	}
	*v.p = items
	return true
}

func (v list) get() any            { return strings.Join(*v.p, ",") }
func (v list) placeholder() string { return v.form }
func (v list) accepts() string     { return "a list with commas in between" }

// hostNames is a list of names of hosts, without ports.
type hostNames struct{ list }

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)

func (v hostNames) set(texts []string) bool {
	var names []string
	if !(list{&names, ""}).set(texts) || slices.ContainsFunc(names, func(name string) bool { return !hostName.MatchString(name) }) {
		return false
	}
	*v.p = names
	return true
}

func (v hostNames) accepts() string {
	return "names of hosts with commas in between, without scheme and port, like siem.example.com"
}

// address is an IP address.
type address struct{ p *string }

func (v address) set(texts []string) bool {
	text := strings.TrimSpace(last(texts))
	if _, err := netip.ParseAddr(text); err != nil {
		return false
	}
	*v.p = text
	return true
}

func (v address) get() any            { return *v.p }
func (v address) placeholder() string { return "IP" }
func (v address) accepts() string     { return "an IPv4 or IPv6 address, like 0.0.0.0 or ::1" }

// size is a number of bytes from min to max. But for 0 it must have a unit: the references
// take plain numbers for bytes in one place and for MiB in another.
type size struct {
	p        *int64
	min, max int64
}

// sizeUnits are the units, the largest first and B, which ends all of them, last.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

type sizeUnit struct {
	name  string
	bytes int64
}

func (v size) set(texts []string) bool {
	text := strings.ToLower(strings.TrimSpace(last(texts)))
	if text == "0" && v.min == 0 {
		*v.p = 0
		return true
	}
	for _, unit := range sizeUnits() {
		digits, found := strings.CutSuffix(text, strings.ToLower(unit.name))
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n > v.max/unit.bytes || n*unit.bytes < v.min {
			return false
		}
		*v.p = n * unit.bytes
		return true
	}
	return false
}

// get returns "" for a size that is not given where 0 is none.
func (v size) get() any {
	if *v.p == 0 && v.min > 0 {
		return ""
	}
	return sizeText(*v.p)
}

func (v size) placeholder() string { return "SIZE" }

func (v size) accepts() string {
	return "a size from " + sizeText(v.min) + " to " + sizeText(v.max) + ", like 512KiB or 10MiB"
}

// sizeText returns a number of bytes in the largest unit it is a multiple of.
func sizeText(bytes int64) string {
	for _, unit := range sizeUnits() {
		if bytes != 0 && bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return "0B"
}

// listenURL is where a NATS server listens: HOST:PORT or a URL of one host, with
// user and password or without. It becomes nats://[user:password@]host:port.
type listenURL struct{ p *string }

func (v listenURL) set(texts []string) bool {
	text := strings.TrimSpace(last(texts))
	if text == "" { // on the command line: nowhere after all
		*v.p = ""
		return true
	}
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return false
	}
	if password, given := u.User.Password(); u.User != nil && (!given || password == "" || u.User.Username() == "") {
		return false
	}
	host, port, err := net.SplitHostPort(u.Host)
	if _, ok := parseInt(port, 0, math.MaxUint16); err != nil || !ok || strings.Contains(host, ",") {
		return false
	}
	if host == "" {
		u.Host = net.JoinHostPort("0.0.0.0", port)
	}
	*v.p = (&url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}).String()
	return true
}

func (v listenURL) get() any            { return *v.p }
func (v listenURL) placeholder() string { return "HOST:PORT" }

func (v listenURL) accepts() string {
	return "HOST:PORT or nats://USER:PASSWORD@HOST:PORT, with %XX for special letters of a password"
}
