package validate

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/config"
)

const (
	shopAssets     = "assets_shop.json"
	shopDirectives = "directives_shop.json"
)

// shop is a configuration without a mistake.
func shop(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{shopAssets, shopDirectives} {
		content, err := os.ReadFile("testdata/mistakes/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	return files
}

// edit replaces texts of the directives that stand there: old, new, old, new.
func edit(pairs ...string) func(*testing.T, fstest.MapFS) {
	return func(t *testing.T, files fstest.MapFS) {
		t.Helper()
		content := string(files[shopDirectives].Data)
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(content, pairs[i]) {
				t.Fatalf("%s is not in %s", pairs[i], content)
			}
			content = strings.ReplaceAll(content, pairs[i], pairs[i+1])
		}
		files[shopDirectives] = &fstest.MapFile{Data: []byte(content)}
	}
}

// rename gives the file of directives another name.
func rename(name string) func(*testing.T, fstest.MapFS) {
	return func(_ *testing.T, files fstest.MapFS) {
		files[name] = files[shopDirectives]
		delete(files, shopDirectives)
	}
}

// mistake is one that authors of rules make, and what they are told.
type mistake struct {
	name string
	make func(*testing.T, fstest.MapFS)
	// fails says that it stops a start.
	fails bool
	// says is each problem with its place and remedy, a line each.
	says string
}

// Each of these mistakes is named at its place, with what would be right. Those
// with which earlier generations of Dsiem start are warnings.
func TestMistakesOfAuthors(t *testing.T) {
	t.Parallel()
	for _, m := range append(mistakesOfForm(), mistakesOfMeaning()...) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			files := shop(t)
			m.make(t, files)
			said, err := validated(files)
			if failed := errors.Is(err, config.ErrInvalid); failed != m.fails {
				t.Errorf("it stops a start: %v, want %v", failed, m.fails)
			}
			if diff := cmp.Diff(strings.Split(m.says, "\n"), said); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestShopHasNoMistake(t *testing.T) {
	t.Parallel()
	if said, err := validated(shop(t)); err != nil || len(said) > 0 {
		t.Errorf("%q, %v", said, err)
	}
}

// validated returns what is reported of a configuration, without the lines that
// show the place and the summary.
func validated(files fstest.MapFS) ([]string, error) {
	var b bytes.Buffer
	err := Run(&Options{Config: files, Out: &b})
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	said := slices.DeleteFunc(lines[:len(lines)-1], func(line string) bool { return strings.HasPrefix(line, "  ") })
	return said, err
}

// mistakesOfForm are those that make a file, a key or a value other than it
// should be.
func mistakesOfForm() []mistake {
	return []mistake{
		{
			"1: a comma too many", edit(`"timeout": 1200`, `"timeout": 1200,`), true,
			`directives_shop.json:45:26: not valid JSON: there is a comma before the closing '}'; remove it`,
		},
		{
			"2: a comment", edit(`"id": 310`, "// the till\n      \"id\": 310"), true,
			`directives_shop.json:4:7: not valid JSON: comments are not allowed; remove it`,
		},
		{
			"4: a file with another name", rename("directive_shop.json"), true,
			`directive_shop.json: warning: this file is not read; rename it to directives_*.json, in small letters [file-not-read]` + "\n" +
				`directives_*.json: there is no directive file; add at least one directives_*.json`,
		},
		{
			"5: YAML", rename("directives_shop.yaml"), true,
			`directives_*.json: there is no directive file; add at least one directives_*.json` + "\n" +
				`directives_shop.yaml: warning: this file is not read; write directives as JSON, into files called directives_*.json [file-not-read]`,
		},
		{
			"9: a field in small letters", edit(`"CUSTOM_DATA2"`, `"custom_data2"`), true,
			`directives_shop.json:30:31: directive 310, stage 2, sticky_different: "custom_data2" must be written "CUSTOM_DATA2"`,
		},
		{
			"10: an id twice", func(_ *testing.T, files fstest.MapFS) { files["directives_a.json"] = files[shopDirectives] }, true,
			`directives_shop.json:4:13: directive 310, id: this id is already used by the directive at directives_a.json:4; give each directive its own`,
		},
		{
			"12: no assets", func(_ *testing.T, files fstest.MapFS) { delete(files, shopAssets) }, true,
			`assets_*.json: there is no asset file; add at least one assets_*.json with the networks to protect`,
		},
		{
			"13: one rule", func(_ *testing.T, files fstest.MapFS) {
				first, _, _ := strings.Cut(string(files[shopDirectives].Data), ",\n        {\n          \"stage\": 2")
				files[shopDirectives] = &fstest.MapFile{Data: []byte(first + "\n      ]\n    }\n  ]\n}\n")}
			}, true,
			`directives_shop.json:9:16: directive 310, rules: a directive needs at least 2 rules, this one has 1; add one for what happens next`,
		},
		{
			"14: a PluginRule without plugin_sid", edit("          \"plugin_sid\": [43],\n", ""), true,
			`directives_shop.json:35:9: directive 310, stage 3, plugin_sid: the key is missing; a list of numbers is required`,
		},
		{
			"15: ANY as plugin_sid", edit(`[43]`, `"ANY"`), true,
			`directives_shop.json:40:25: directive 310, stage 3, plugin_sid: "ANY" is not possible here; list every number that counts, like [1, 2]`,
		},
		{
			"16: a reference to a later stage", edit("\"to\": \":1\",\n          \"occurrence\"", "\"to\": \":4\",\n          \"occurrence\""), true,
			`directives_shop.json:42:17: directive 310, stage 3, to: ":4" must name a stage before this one (3)`,
		},
		{
			"17: an unknown key", edit(`"priority": 4`, `"priority": 4, "mitre": "T1110"`), false,
			`directives_shop.json:6:22: warning: directive 310: unknown key "mitre" is ignored [unknown-key]`,
		},
		{
			"19: a number in quotes", edit(`"timeout": 300`, `"timeout": "300"`), true,
			`directives_shop.json:33:22: directive 310, stage 2, timeout: a number is required, not a string; write 300`,
		},
		{
			"20: a list without the object around it", edit("{\n  \"directives\": [", "[", "  ]\n}\n", "]\n"), true,
			`directives_shop.json:1:1: the file must hold an object like {"directives": [...]}, not a list`,
		},
		{
			"21: another key than directives", edit(`"directives": [`, `"rules": [`), true,
			`directives_shop.json:1:1: the list "directives" is missing; write {"directives": [...]}` + "\n" +
				`directives_shop.json:2:3: warning: unknown key "rules" is ignored; only "directives" is read here [unknown-key]`,
		},
		{
			"25: an empty directory", func(_ *testing.T, files fstest.MapFS) { clear(files) }, true,
			`assets_*.json: there is no asset file; add at least one assets_*.json with the networks to protect` + "\n" +
				`directives_*.json: there is no directive file; add at least one directives_*.json`,
		},
	}
}

// mistakesOfMeaning are those that work, and not as meant.
func mistakesOfMeaning() []mistake {
	return []mistake{
		{
			"3: a stage without a timeout", edit(",\n          \"timeout\": 300", ""), false,
			`directives_shop.json:22:9: warning: directive 310, stage 2, timeout: without a timeout the stage is over with the second in which it begins; write how many seconds it may take, like "timeout": 600 [timeout-missing]`,
		},
		{
			"6: a protocol", edit(`"plugin_id": 7310`, `"plugin_id": 7310, "protocol": "UDP"`), false,
			`directives_shop.json:26:42: warning: directive 310, stage 2, protocol: "UDP" is shown in alarms and not compared: events of any protocol match; where that matters, tell them apart by plugin_sid, subcategory or port (likewise in 1 more rule of this file) [protocol-not-compared]`,
		},
		{
			"7: custom data in a TaxonomyRule", edit(`"category": "Login"`, `"category": "Login", "custom_data2": "root"`), false,
			`directives_shop.json:15:48: warning: directive 310, stage 1, custom_data2: custom data is not compared in a TaxonomyRule, so any value matches; compare it in a PluginRule, or use subcategory [custom-data-not-compared]`,
		},
		{
			"8: a timeout in stage 1", edit(`"reliability": 1`+"\n", `"reliability": 1, "timeout": 60`+"\n"), false,
			`directives_shop.json:20:40: warning: directive 310, stage 1, timeout: stage 1 is complete with its first event, so it waits for nothing; write the seconds into the stage that has to wait [timeout-in-stage-1]`,
		},
		{
			"11: a low priority", edit(`"priority": 4`, `"priority": 1`, `"reliability": 9`, `"reliability": 4`, `"reliability": 5`, `"reliability": 4`), false,
			`directives_shop.json:6:19: warning: directive 310, priority: the directive can never raise an alarm: priority 1 × reliability 4 × the highest asset value 5 is below 25; raise one of them [never-alarms]`,
		},
		{
			"18: different hosts of one host", edit(`"CUSTOM_DATA2"`, `"DST_IP"`), false,
			`directives_shop.json:30:31: warning: directive 310, stage 2, sticky_different: "to": ":1" lets only 1 value of DST_IP through, so 6 different ones never come; let another field differ, or widen "to" [too-few-values]`,
		},
		{
			"22: a name with other words", edit(`Till DST_IP taken over from SRC_IP`, `Till DSTIP, port DST_PORT`), false,
			`directives_shop.json:5:21: warning: directive 310, name: "DSTIP" in a name is not replaced; write DST_IP [name-not-replaced]` + "\n" +
				`directives_shop.json:5:33: warning: directive 310, name: "DST_PORT" in a name is not replaced; only SRC_IP and DST_IP are [name-not-replaced]`,
		},
		{
			"23: different sources of one source", edit(`"CUSTOM_DATA2"`, `"SRC_IP"`), false,
			`directives_shop.json:30:31: warning: directive 310, stage 2, sticky_different: "from": ":1" lets only 1 value of SRC_IP through, so 6 different ones never come; let another field differ, or widen "from" [too-few-values]`,
		},
		{
			"24: stages that no host holds together", edit(`"from": ":1"`, `"from": "ANY"`, `"to": ":1"`, `"to": "ANY"`), false,
			`directives_shop.json:28:19: warning: directive 310, stage 2, from: no later stage is tied to the hosts of stage 1, so events of all hosts count together; write ":1" in "from" or "to" to keep to those of the attack [hosts-not-tied]`,
		},
	}
}
