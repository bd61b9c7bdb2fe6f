package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// able returns the candidates that can run here.
func able(t testing.TB) (all []candidate) {
	t.Helper()
	for _, c := range candidates() {
		if c.missing == "" {
			all = append(all, c)
		} else {
			t.Logf("without %s: it %s", c.name, c.missing)
		}
	}
	return all
}

// The numbers compare only what does the same.
func TestDecodersReadTheSameOutOfEachText(t *testing.T) {
	reference := jsonV2()
	for _, text := range texts() {
		var want document
		if err := reference.decode(text.data, &want); err != nil {
			t.Fatal(err)
		}
		if want.Title == "" || want.CustomData1 == "" || want.PluginSID == 0 {
			t.Fatalf("%s: %+v", text.name, want)
		}
		for _, c := range able(t) {
			var got document
			err := c.decode(text.data, &got)
			if c.complete { // it has copied the following only
				want := document{EventID: want.EventID, Title: want.Title, SrcPort: want.SrcPort, PluginSID: want.PluginSID}
				if err != nil || got != want {
					t.Errorf("%s, %s: %+v, %v; want %+v", c.name, text.name, got, err, want)
				}
			} else if err != nil || got != want {
				t.Errorf("%s, %s: %+v, %v; want %+v", c.name, text.name, got, err, want)
			}
			id, err := c.identify(text.data)
			if err != nil || id.PluginID != want.PluginID || id.PluginSID != want.PluginSID {
				t.Errorf("%s, %s: identity %+v, %v", c.name, text.name, id, err)
			}
		}
	}
}

func TestTextsHaveTheSizesTheirNamesSay(t *testing.T) {
	for _, text := range texts() {
		size := 1024
		if strings.HasPrefix(text.name, "500") {
			size = 500
		}
		if len(text.data) < size*19/20 || len(text.data) > size*21/20 {
			t.Errorf("%s: %d bytes", text.name, len(text.data))
		}
	}
}

func TestOwnScannerHoldsEveryRule(t *testing.T) {
	c := own()
	for _, r := range rules() {
		if verdict := r.verdict(&c); verdict != "yes" {
			t.Errorf("%s: %s", r.name, verdict)
		}
	}
}

// A new version of a library may hold other rules: then the table in README.md
// and what follows from it are to be written anew.
func TestReadmeHasTheTableOfRules(t *testing.T) {
	all := able(t)
	if len(all) < len(candidates()) {
		t.Skip("the table needs all candidates")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	writeRules(&table, all)
	if !bytes.Contains(readme, table.Bytes()) {
		t.Errorf("README.md lacks this table:\n%s", &table)
	}
}

func TestRunWritesALineForEachDecoder(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range able(t) {
		if !strings.Contains(out.String(), "| "+c.name+" | event |") || !strings.Contains(out.String(), "| "+c.name+" | identity |") {
			t.Errorf("no line for %s in:\n%s", c.name, &out)
		}
	}
}

func BenchmarkDecoders(b *testing.B) {
	for _, task := range tasksOf(able(b)) {
		b.Run(strings.NewReplacer(" ", "_", "/", "-").Replace(task.what+" "+task.text+" "+task.decoder), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := task.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
