package docs

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/programs"
)

// running is a node as a child process.
type running struct{ *testkit.Process }

// start starts a program, which is killed when the test of owner ends, if it has
// not ended then.
func start(t, owner *testing.T, dir string, env []string, program string, args ...string) *running {
	t.Helper()
	cmd := testkit.Command(owner, programs.Path(t, program), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	return &running{testkit.Start(owner, cmd)}
}

// says waits for a text in the log and returns its group.
func (b *running) says(t *testing.T, pattern string) string {
	t.Helper()
	return b.Log.Match(t, pattern)
}

// logs waits until the log has the lines of a text in their order, whatever is
// in between.
func (b *running) logs(t *testing.T, text string) {
	t.Helper()
	want := withGaps(append([]string{ellipsis}, strings.Split(strings.TrimSpace(text), "\n")...))
	if !b.Log.Until(func(lines []string) bool { return matchLines(want, lines) }) {
		t.Errorf("documented:\n%sreal:\n%s", text, b.Log)
	}
}

// withGaps puts "any lines" behind every line.
func withGaps(lines []string) []string {
	var out []string
	for _, line := range lines {
		out = append(out, line, ellipsis)
	}
	return out
}

func (b *running) stop(t *testing.T) {
	t.Helper()
	b.Stop(t, testkit.Patience)
}

// player plays a page in a directory.
type player struct {
	page *testing.T
	dir  string
	// node is the one that the page has started last, nil if there is none. It
	// listens at port, and the page says documentedPort instead.
	node *running
	port string
}

const documentedPort = "8080"

const listensAt = `listening on 127\.0\.0\.1:(\d+)`

// serve starts the node of a block: at a free port of the loopback interface,
// with its directories below that of the page.
func (p *player) serve(t *testing.T, b *block) {
	t.Helper()
	if p.node != nil {
		p.node.stop(t)
	}
	line, _ := strings.CutPrefix(strings.TrimSpace(b.text), "go run ./cmd/")
	words := strings.Fields(line)
	for _, word := range words {
		if strings.ContainsAny(word, `'"$\;|&<>`) || strings.HasPrefix(word, "--port") || strings.HasPrefix(word, "--address") {
			t.Fatalf("%q: a block \"sh serve\" is one plain command at the default address", word)
		}
	}
	env := []string{"DSIEM_ADDRESS=127.0.0.1", "DSIEM_PORT=0", "DSIEM_ROOT_DIR=" + p.dir}
	for len(words) > 0 && strings.Contains(words[0], "=") {
		env, words = append(env, words[0]), words[1:]
	}
	if len(words) < 2 {
		t.Fatalf("%q is no command", b.text)
	}
	p.node = start(t, p.page, p.dir, env, words[0], words[1:]...)
	p.port = p.node.says(t, listensAt)
	p.node.says(t, `((?:backend|frontend) started)`)
}

// here puts the port of the node in the place of the documented one.
func (p *player) here(text string) string {
	if p.node == nil {
		return text
	}
	for _, host := range []string{"localhost:", ellipsis + ":"} {
		text = strings.ReplaceAll(text, host+documentedPort, host+p.port)
	}
	return text
}

// commands runs the commands of a block. With the word "soon" they may be
// repeated until they print what they should.
func (p *player) commands(t *testing.T, b *block) {
	t.Helper()
	for _, c := range commandsOf(t, b) {
		c.line = p.here(c.line)
		for i, line := range c.want {
			c.want[i] = p.here(line)
		}
		out := c.run(t, p.dir)
		right := func() bool { return matchLines(c.want, out) }
		if !right() && b.kind == "soon" {
			testkit.Soon(func() bool { out = c.run(t, p.dir); return right() })
		}
		if !right() {
			c.differs(t, out)
		}
	}
}

// TestExampleFiles checks that the files below docs/examples are those that the
// pages show.
func TestExampleFiles(t *testing.T) {
	t.Parallel()
	shown := map[string]string{}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if name := b.words["file"]; strings.HasPrefix(name, "docs/examples/") {
				shown[name] = b.text
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "examples", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := "docs/examples/" + filepath.Base(file)
		if shown[name] != string(content) {
			t.Errorf("%s is not the one that a page shows", name)
		}
		delete(shown, name)
	}
	for name := range shown {
		t.Errorf("there is no %s", name)
	}
}

// openAPIRoutes returns the operations of docs/openapi.yaml, as "GET /config/",
// and the right that each wants. It knows the form in which we write the file;
// internal/node checks that it is right.
func openAPIRoutes(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join(root, "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	path, method, rights := "", "", map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if m := yamlPath.FindStringSubmatch(line); m != nil {
			path = m[1]
		}
		if m := yamlMethod.FindStringSubmatch(line); m != nil {
			method = strings.ToUpper(m[1])
		}
		if m := yamlRight.FindStringSubmatch(line); m != nil {
			rights[method+" "+path] = m[1]
		}
		if strings.TrimSpace(line) == "security: []" {
			rights[method+" "+path] = "none"
		}
	}
	if len(rights) == 0 {
		t.Fatal("no operation found")
	}
	return rights
}

var (
	yamlPath   = regexp.MustCompile(`^  (/\S*):$`)
	yamlMethod = regexp.MustCompile(`^    (get|post|put|delete):$`)
	yamlRight  = regexp.MustCompile(`^      security: \[\{ token: \[([a-z-]+)\] \}`)
)

// sortedCode returns the texts between backquotes, sorted.
func sortedCode(cell string) []string {
	out := codeOf(cell)
	slices.Sort(out)
	return out
}
