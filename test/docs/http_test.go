package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dsiem/internal/input/httpin"
	"dsiem/internal/web/auth"
	"dsiem/test/testkit"

	"github.com/google/go-cmp/cmp"
)

const (
	apiPage      = "docs/http-api.md"
	securityPage = "docs/security.md"
)

// TestRequestTables sends the requests of the tables of docs/http-api.md to the
// node that the page starts.
func TestRequestTables(t *testing.T) {
	t.Parallel()
	p := pageNamed(t, apiPage)
	on := &player{page: t, dir: t.TempDir()}
	on.serve(t, only(t, p, "serve"))
	seen := 0
	for _, table := range tablesOf(t, "Request") {
		for _, row := range table.rows {
			seen++
			checkRequest(t, "http://127.0.0.1:"+on.port, p.base(t), row)
		}
	}
	if seen == 0 {
		t.Errorf("no requests in %s", apiPage)
	}
}

// checkRequest sends the request of a row: what to send, the body, and the
// status and text of the answer.
func checkRequest(t *testing.T, node, base string, row []string) {
	t.Helper()
	method, path, _ := strings.Cut(plain(row[0]), " ")
	status, got := testkit.Send(t, method, node+path, bodyOf(t, base, row[1]))
	if got = strings.TrimSpace(got); strconv.Itoa(status) != row[2] || !matchLine(plain(row[3]), got) {
		t.Errorf("%s\nreally: %d %s", strings.Join(row, " | "), status, got)
	}
}

// bodyOf returns a body as a cell describes it: a change of the base event, or a
// text in which EVENT is the base event.
func bodyOf(t *testing.T, base, cell string) string {
	t.Helper()
	if without.MatchString(cell) || strings.HasPrefix(cell, "`\"") {
		o := decode(t, base)
		change(t, o, cell)
		return string(encode(t, o))
	}
	return strings.ReplaceAll(plain(cell), "EVENT", base)
}

// TestRouteTables compares the tables of routes and of rights with
// docs/openapi.yaml, which a test of internal/node compares with the program.
func TestRouteTables(t *testing.T) {
	t.Parallel()
	want := openAPIRoutes(t)
	got := map[string]string{}
	for _, table := range tablesOf(t, "Route") {
		for _, row := range table.rows {
			for _, route := range codeOf(row[0]) {
				got[route] = plain(row[1])
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: docs/openapi.yaml - table +:\n%s", apiPage, diff)
	}
	opened := map[string][]string{}
	for route, right := range want {
		opened[right] = append(opened[right], route)
	}
	rows := map[string][]string{}
	for _, table := range tablesOf(t, "Right") {
		for _, row := range table.rows {
			if plain(row[0]) == auth.All.String() {
				continue
			}
			rows[plain(row[0])] = sortedCode(row[1])
		}
	}
	delete(opened, "none")
	for right := range opened {
		slices.Sort(opened[right])
	}
	if diff := cmp.Diff(opened, rows); diff != "" {
		t.Errorf("%s: docs/openapi.yaml - table +:\n%s", securityPage, diff)
	}
	all := strings.Split((auth.All &^ auth.Intake).String(), ", ")
	for _, right := range append(all, auth.Intake.String()) {
		if rows[right] == nil {
			t.Errorf("%s does not have the right %s", securityPage, right)
		}
	}
}

// statusesToRetry returns the statuses of /events after which a sender is to try
// again.
func statusesToRetry(t *testing.T) []string {
	t.Helper()
	var retry []string
	for _, table := range tablesOf(t, "Status of /events") {
		for _, row := range table.rows {
			if row[1] == "yes" {
				retry = append(retry, row[0])
			}
		}
	}
	return retry
}

// TestStatusTables compares the statuses that the pages list with those of the
// intake, and of docs/openapi.yaml.
func TestStatusTables(t *testing.T) {
	t.Parallel()
	documented := firstColumn(t, apiPage, "Status of /events")
	for status := range httpin.New(httpin.Options{}).Stats().Requests {
		if !slices.Contains(documented, strconv.Itoa(status)) {
			t.Errorf("%s does not have the status %d", apiPage, status)
		}
	}
	for path, column := range map[string]string{"/events": "Status of /events", "/config": "Status of /config"} {
		want := slices.Sorted(maps.Keys(openAPIStatuses(t, path)))
		var got []string
		for _, cell := range firstColumn(t, apiPage, column) {
			got = append(got, strings.Split(cell, ", ")...)
		}
		slices.Sort(got)
		// Answers to paths and methods that are none of the API.
		got = slices.DeleteFunc(got, func(s string) bool { return s == "404" || s == "405" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("statuses of %s: docs/openapi.yaml - table +:\n%s", path, diff)
		}
	}
}

var (
	yamlStatus = regexp.MustCompile(`^        "([1-5]\d\d)":`)
	retryCodes = regexp.MustCompile(`retryable_codes => \[([0-9, ]+)\]`)
)

// openAPIStatuses returns the statuses of all operations of a path and of those
// below it.
func openAPIStatuses(t *testing.T, path string) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	statuses, below := map[string]bool{}, false
	for line := range strings.Lines(string(content)) {
		if m := yamlPath.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			below = m[1] == path || strings.HasPrefix(m[1], path+"/")
		}
		if m := yamlStatus.FindStringSubmatch(line); below && m != nil {
			statuses[m[1]] = true
		}
		if strings.HasPrefix(line, "components:") {
			break
		}
	}
	return statuses
}

// TestRecipesTryAgain checks that the Logstash of docs/http-api.md tries again
// after every status after which it has to, and after the errors of proxies.
func TestRecipesTryAgain(t *testing.T) {
	t.Parallel()
	recipe := only(t, pageNamed(t, apiPage), "logstash").text
	m := retryCodes.FindStringSubmatch(recipe)
	if m == nil {
		t.Fatalf("no retryable_codes in\n%s", recipe)
	}
	want := append(statusesToRetry(t), "500", "502", "504")
	slices.Sort(want)
	if diff := cmp.Diff(want, strings.Split(m[1], ", ")); diff != "" {
		t.Errorf("to be tried again - recipe +:\n%s", diff)
	}
}

// TestKeysOfRights compares the table of the keys of the file of rights with the
// example, which has all of them.
func TestKeysOfRights(t *testing.T) {
	t.Parallel()
	example := decode(t, only(t, pageNamed(t, securityPage), "auth").text)
	keys := map[string]bool{}
	for key := range example {
		keys[key] = true
	}
	users, _ := example["users"].([]any)
	for i := range users {
		for key := range element(t, example, "users", i) {
			keys[key] = true
		}
	}
	documented := firstColumn(t, securityPage, "Key of the file")
	slices.Sort(documented)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(keys)), documented); diff != "" {
		t.Errorf("example - table +:\n%s", diff)
	}
}
