package state_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
)

// FuzzLoad gives the loader files of which a part is replaced by any text; the
// input is the change alone, because the fuzzer is lost in inputs of the size of
// a file. Whatever the loader accepts, the engine restores or refuses; what is
// restored is saved in a form that is read without a problem and saved as it
// was; and the backlogs take events and expire.
func FuzzLoad(f *testing.F) {
	bases := []string{compact(f, fixture(f, "seed/1.json")), compact(f, fixture(f, "successor/1.json"))}
	for i, base := range bases {
		f.Add(i, uint16(0), uint16(0xffff), "[]xxxx")
		for _, edit := range []struct{ old, new string }{
			{`"10.0.0.1"`, `":1"`},
			{`"10.0.0.1"`, `"!10.0.0.0/8,2001:db8::/32"`},
			{`"port_to":"ANY"`, `"port_to":"!22,80"`},
			{`"DST_PORT"`, `"SRC_IP"`},
			{`"stage":2`, `"stage":255`},
			{`"status":"finished"`, `"status":""`},
			{`"HOME_NET"`, `"0.0.0.0"`},
			{`"sdiff_string":[]`, `"sdiff_string":["","::1"]`},
			{`"custom_data1":"ANY"`, `"custom_data1":"a,!b"`},
			{`[{`, `[{},{`},
		} {
			f.Add(i, uint16(strings.Index(base, edit.old)), uint16(len(edit.old)), edit.new)
		}
	}
	makeEngine := engines(f, fixture(f, "scan_directives.json"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, number int, at, length uint16, text string) {
		base := bases[uint(number)%uint(len(bases))]
		from := min(int(at), len(base))
		to := min(from+int(length), len(base))
		path := filepath.Join(dir, "1.json")
		if err := os.WriteFile(path, []byte(base[:from]+text+base[to:]), 0o600); err != nil {
			t.Fatal(err)
		}
		first, second := makeEngine(), makeEngine()
		loaded := load(t, dir, first, 1)
		if len(loaded.Files) != 1 || first.Stats().Live != loaded.Restored {
			t.Fatalf("%d live after %+v", first.Stats().Live, loaded)
		}
		if loaded.Discarded > 0 && len(loaded.Problems) == 0 {
			t.Fatal("a backlog is discarded without a word")
		}
		want := saved(first)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		loadClean(t, dir, second, 1)
		if diff := cmp.Diff(string(want), string(saved(second))); diff != "" {
			t.Fatalf("saved again (-want +got):\n%s", diff)
		}
		for sid := range uint64(4) {
			step(second, anEvent("e9", 9, sid, 82))
		}
		step(second, exploit("e10", 10))
		second.Expire(math.MaxInt64)
		if live := second.Stats().Live; live > 0 {
			t.Fatalf("%d backlogs do not expire", live)
		}
	})
}

// saved returns the text of a file with all backlogs of an engine.
func saved(e *correlate.Engine) []byte {
	var list []alarm.Saved
	for _, s := range e.Save() {
		list = append(list, s)
	}
	return alarm.AppendSaved(nil, list)
}
