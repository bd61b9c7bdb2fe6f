package backlogs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
)

// FuzzLoad gives the loader any text for a file. Whatever it accepts, the engine
// restores or refuses; what is restored is saved in a form that is read without
// a problem and saved as it was; and the backlogs take events and expire.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"seed/1.json", "successor/1.json", "golden/1.json"} {
		text := fixture(f, name)
		f.Add([]byte(text))
		for _, edit := range []struct{ old, new string }{
			{`"10.0.0.1"`, `":1"`},
			{`"10.0.0.1"`, `"!10.0.0.0/8,2001:db8::/32"`},
			{`"port_to": "ANY"`, `"port_to": "!22,80"`},
			{`"DST_PORT"`, `"SRC_IP"`},
			{`"stage": 2`, `"stage": 255`},
			{`"status": "finished",`, ``},
			{`"HOME_NET"`, `"0.0.0.0"`},
			{`"sdiff_string": []`, `"sdiff_string": ["", "::1"]`},
			{"\n  {", "\n  {}, {"},
		} {
			f.Add([]byte(strings.ReplaceAll(text, edit.old, edit.new)))
		}
	}
	directives := fixture(f, "scan_directives.json")
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "1.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		first, second := newEngine(t, directives), newEngine(t, directives)
		loaded := load(t, dir, first, 1)
		if len(loaded.Files) != 1 || first.Stats().Live != loaded.Restored {
			t.Fatalf("%d live after %+v", first.Stats().Live, loaded)
		}
		if loaded.Discarded > 0 && len(loaded.Problems) == 0 {
			t.Fatal("a backlog is discarded without a word")
		}
		var saved []alarm.Saved
		for _, s := range first.Save() {
			saved = append(saved, s)
		}
		want := alarm.AppendSaved(nil, saved)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		loadClean(t, dir, second, 1)
		saved = saved[:0]
		for _, s := range second.Save() {
			saved = append(saved, s)
		}
		if diff := cmp.Diff(string(want), string(alarm.AppendSaved(nil, saved))); diff != "" {
			t.Fatalf("saved again (-want +got):\n%s", diff)
		}
		for sid := range uint64(4) {
			step(second, anEvent("e9", 9, sid, 82))
		}
		step(second, exploit("e10", 10))
		second.ExpireAll()
		if live := second.Stats().Live; live > 0 {
			t.Fatalf("%d backlogs do not expire", live)
		}
	})
}
