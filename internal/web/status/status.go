package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"dsiem/internal/text"
)

// Status is what the status page shows and /status answers as JSON. Sections
// that a mode does not have are nil, and then left out.
type Status struct {
	// Mode is that of the node, as "cluster-frontend". Its key is the word of the
	// contract.
	Mode string `json:"role"`
	// Node is the name of the node, if it has one.
	Node    string `json:"node,omitempty"`
	Version string `json:"version"`
	// Started is when the program started, UptimeSeconds how long it has been
	// running.
	Started       time.Time `json:"started"`
	UptimeSeconds int64     `json:"uptime_seconds"`

	EPS      *EPS      `json:"eps,omitempty"`
	Queue    *Queue    `json:"queue,omitempty"`
	Events   *Events   `json:"events,omitempty"`
	NATS     *NATS     `json:"nats,omitempty"`
	Backlogs *Backlogs `json:"backlogs,omitempty"`
	// Configuration are the configuration files.
	Configuration *Configuration `json:"configuration,omitempty"`
	// Alarms are the last alarms, the newest first; no more than ShownAlarms
	// are shown. nil is a mode without alarms, an empty slice none so far.
	Alarms []Alarm `json:"alarms,omitzero"`
	Links  Links   `json:"links"`
}

// EPS is the rate of events.
type EPS struct {
	// Now are the events of the last second, Limit those that are accepted per
	// second, 0 for all.
	Now   int64 `json:"now"`
	Limit int   `json:"limit"`
	// Overloaded says whether a backend is overloaded, so that the limit falls.
	Overloaded bool `json:"overloaded"`
}

// Queue is the queue of events.
type Queue struct {
	// Length are the events that wait, Limit those that can.
	Length int `json:"length"`
	Limit  int `json:"limit"`
}

// Events are counts since the start.
type Events struct {
	// Received are all events, Dropped those of them that were lost.
	Received uint64 `json:"received"`
	Dropped  uint64 `json:"dropped"`
}

// NATS is the connection to NATS.
type NATS struct {
	Connected bool `json:"connected"`
}

// Backlogs are what the engine works on.
type Backlogs struct {
	// Live are the live backlogs. Active are the directives that have some,
	// Directives all that are loaded.
	Live       int `json:"live"`
	Active     int `json:"active_directives"`
	Directives int `json:"directives"`
}

// Configuration says which configuration files the node works with.
type Configuration struct {
	// Loaded is the hash of the files that the node has loaded, "" if it loads none,
	// Stored that of those that are stored now, "" if there are none.
	Loaded string `json:"loaded,omitempty"`
	Stored string `json:"stored,omitempty"`
	// Pending says that another configuration is stored than the one that is loaded.
	Pending bool `json:"pending"`
	// LeftOut is the number of directives, or whole files of them, that are not in
	// use because of errors. LeftOutList are the first of them.
	LeftOut     int       `json:"left_out"`
	LeftOutList []LeftOut `json:"left_out_list,omitempty"`
}

// LeftOut is a directive that is not in use, or a file of them if Directive is "".
type LeftOut struct {
	File      string `json:"file"`
	Directive string `json:"directive,omitempty"`
}

// Links says which other pages the node has.
type Links struct {
	Ready   bool `json:"ready"`   // /readyz
	Metrics bool `json:"metrics"` // /metrics
	Config  bool `json:"config"`  // /config/
	UI      bool `json:"ui"`      // /ui/
}

//go:embed page
var files embed.FS

// maxTitle is how much of a title is shown, in bytes.
const maxTitle = 300

// contentPolicy lets the page load its own files and ask for its own status,
// and nothing else: a text that should get past the escaping still does nothing.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is the handler of Page.
type page struct {
	source   func() Status
	template *template.Template
	// assets are the URLs of style, script and icon, relative to the page.
	assets map[string]string
}

// Page returns the built-in page for GET /{$}, GET /status and
// GET /status/. source is asked once per request, from any goroutine.
//
//	GET /                the page
//	GET /status          the Status as JSON
//	GET /status/{asset}  style, script and icon; their names have a hash
//
// The page needs no script, which only keeps it up to date, and nothing from
// other hosts. All its links are relative, so it may be below a prefix of a
// proxy.
func Page(source func() Status) http.Handler {
	p := &page{source: source, assets: map[string]string{}}
	mux := http.NewServeMux()
	for _, name := range []string{"status.css", "status.js", "icon.svg"} {
		content, err := files.ReadFile("page/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		url := "status/" + hashedName(name, content)
		p.assets[name] = url
		mux.Handle("GET /"+url, &asset{content: content, kind: contentType(name)})
	}
	p.template = template.Must(template.New("status.html").Funcs(template.FuncMap{
		"number": number, "uptime": uptime, "utc": utc, "iso": iso, "class": class, "limit": limit, "high": high, "choose": choose,
	}).ParseFS(files, "page/status.html"))
	mux.HandleFunc("GET /{$}", p.html)
	mux.HandleFunc("GET /status", p.json)
	return mux
}

// hashedName returns a name that changes with the content, as
// status.0123456789ab.css.
func hashedName(name string, content []byte) string {
	const digits = 12
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:])[:digits] + ext
}

// asset is a file of the page that never changes under its name.
type asset struct {
	content []byte
	kind    string
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", forEver)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}

// status returns what is to be shown now.
func (p *page) status() Status {
	s := p.source()
	if s.Alarms != nil {
		shown := append(make([]Alarm, 0, ShownAlarms), s.Alarms[:min(len(s.Alarms), ShownAlarms)]...)
		for i := range shown {
			shown[i].Title = clip(shown[i].Title)
		}
		s.Alarms = shown
	}
	return s
}

// clip returns the beginning of a title as valid UTF-8.
func clip(title string) string {
	return strings.ToValidUTF8(text.Clip(title, maxTitle), "\uFFFD")
}

// view is what the template sees.
type view struct {
	Status

	HasAlarms bool // the mode has some, be it none so far
	Assets    map[string]string
}

func (p *page) html(w http.ResponseWriter, _ *http.Request) {
	s := p.status()
	var body bytes.Buffer
	if err := p.template.Execute(&body, view{s, s.Alarms != nil, p.assets}); err != nil {
		http.Error(w, "The page could not be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("Referrer-Policy", "no-referrer")
	answer(w, "text/html; charset=utf-8", body.Bytes())
}

func (p *page) json(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(p.status())
	if err != nil { // a time outside of the years 0 to 9999
		http.Error(w, "The status could not be encoded", http.StatusInternalServerError)
		return
	}
	answer(w, "application/json; charset=utf-8", append(body, '\n'))
}

func answer(w http.ResponseWriter, kind string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body)
}

// The functions of the template. The script has the same ones.

// number returns an integer with commas: 1,234,567.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign, digits := digits[:len(digits)-len(strings.TrimLeft(digits, "-"))], strings.TrimLeft(digits, "-")
	const group = 3
	for i := len(digits) - group; i > 0; i -= group {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// uptime returns a duration with its two largest units: 3 d 4 h.
func uptime(seconds int64) string {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case seconds < minute:
		return fmt.Sprintf("%d s", max(seconds, 0))
	case seconds < hour:
		return fmt.Sprintf("%d min %d s", seconds/minute, seconds%minute)
	case seconds < day:
		return fmt.Sprintf("%d h %d min", seconds/hour, seconds%hour/minute)
	default:
		return fmt.Sprintf("%s d %d h", number(seconds/day), seconds%day/hour)
	}
}

func utc(t time.Time) string { return t.UTC().Format(time.DateTime) }
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// class returns the name of a risk class in the style, whatever it is called in
// the alarm.
func class(name string) string {
	switch strings.ToLower(name) {
	case "low", "medium", "high":
		return strings.ToLower(name)
	}
	return "none"
}

// limit says how high a limit is.
func limit(n int) string {
	if n <= 0 {
		return "no limit"
	}
	return "of " + number(n)
}

// high returns where a meter turns to its warning colour.
func high(limit int) int { return limit * 4 / 5 }

// choose returns one of two texts.
func choose(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
