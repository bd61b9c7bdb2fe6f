package confdist_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestAChangeWithIfMatchNeedsTheFileThatTheEditorKnows(t *testing.T) {
	t.Parallel()
	const changed = "a.json is not the one that If-Match asks for, it was changed in between; download it again\n"
	n := newNode(t, map[string]string{"a.json": "1"})
	tag := n.do(t, "GET", "/config/a.json", "").header.Get("ETag")
	for _, header := range []string{`"x"`, "W/" + tag, tag[1:], "", `"x", "y"`} {
		n.want(t, 412, changed, "POST", "/config/a.json", "2", "If-Match", header)
		n.want(t, 412, changed, "DELETE", "/config/a.json", "", "If-Match", header)
	}
	n.want(t, 412, "nope.json does not exist, and If-Match asks for one that does\n", "POST", "/config/nope.json", "2", "If-Match", tag)
	n.want(t, 412, "nope.json does not exist, and If-Match asks for one that does\n", "POST", "/config/nope.json", "2", "If-Match", "*")
	n.want(t, 400, "cannot delete nope.json", "DELETE", "/config/nope.json", "", "If-Match", tag)
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "1"})

	a := n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "2", "If-Match", `"x", `+tag)
	n.want(t, 412, changed, "POST", "/config/a.json", "3", "If-Match", tag)
	tag = a.header.Get("ETag")
	n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "3", "If-Match", "*")
	n.want(t, 412, changed, "DELETE", "/config/a.json", "", "If-Match", tag)
	tag = n.do(t, "GET", "/config/a.json", "").header.Get("ETag")
	n.want(t, 200, "", "DELETE", "/config/a.json", "", "If-Match", `"x"`, "If-Match", tag)
}

func TestAnUploadWithIfNoneMatchReplacesNothing(t *testing.T) {
	t.Parallel()
	const exists = "a.json exists already, and If-None-Match excludes that\n"
	n := newNode(t, nil)
	a := n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "1", "If-None-Match", "*")
	n.want(t, 412, exists, "POST", "/config/a.json", "2", "If-None-Match", "*")
	n.want(t, 412, exists, "POST", "/config/a.json", "2", "If-None-Match", a.header.Get("ETag"))
	n.want(t, 201, "File a.json uploaded successfully\n", "POST", "/config/a.json", "2", "If-None-Match", a.header.Get("ETag")[:10]+`"`)
	testkit.Equal(t, tree(t, n.dir), map[string]string{"a.json": "2"})
}

func TestContentIsJudgedBeforeConditions(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.json": "1"})
	n.want(t, 418, contentError+"the content is empty\n", "POST", "/config/a.json", "", "If-None-Match", "*")
}

func TestOfManyEditorsOneWins(t *testing.T) {
	t.Parallel()
	const editors = 24
	var together sync.WaitGroup // all are checked before one goes on
	n := newNode(t, map[string]string{"assets_a.json": oneAsset}, func(o *confdist.ServerOptions) {
		o.Check = func(string, []byte) error {
			together.Done()
			together.Wait()
			return nil
		}
	})
	old := n.do(t, "GET", "/config/assets_a.json", "").header.Get("ETag")
	for _, c := range []struct{ name, header, value string }{
		{"assets_a.json", "If-Match", old},
		{"assets_new.json", "If-None-Match", "*"},
	} {
		together.Add(editors)
		version := func(i int64) string {
			return fmt.Sprintf(`{"assets":[%d]}`, i) + strings.Repeat(" ", 300_000) // takes a while to write
		}
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := int64(1); i <= editors; i++ {
			wg.Go(func() {
				a, err := n.try("POST", "/config/"+c.name, version(i), c.header, c.value)
				switch {
				case err != nil:
					t.Error(err)
				case a.status == 201 && won.Swap(i) != 0:
					t.Errorf("two editors won with %s", c.header)
				case a.status != 201 && a.status != 412:
					t.Errorf("got %v", a)
				}
			})
		}
		wg.Wait()
		if won.Load() == 0 || content(t, n.dir)[c.name] != version(won.Load()) {
			t.Errorf("%s: the file is not that of the editor who won", c.header)
		}
	}
}

func TestReadersSeeOneVersionOrTheOther(t *testing.T) {
	t.Parallel()
	version := func(i int) string { return strings.Repeat(strconv.Itoa(i%2+1), 50_000) }
	n := newNode(t, map[string]string{"a.json": version(0), "b.json": "{}"})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a, err := n.try("GET", "/config/a.json", ""); err != nil || a.body != version(0) && a.body != version(1) {
					t.Errorf("got %d and %d bytes, error %v", a.status, len(a.body), err)
					return
				}
			}
		})
	}
	for i := range 15 {
		n.do(t, "POST", "/config/a.json", version(i))
		n.do(t, "DELETE", "/config/b.json", "")
		n.do(t, "POST", "/config/b.json", "{}")
	}
	close(stop)
	wg.Wait()
}
