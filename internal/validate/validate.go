// Package validate is "dsiem validate": it reports every problem of a
// configuration and, if asked, the compiled plans. It keeps no state and never
// changes a file.
package validate

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/jsonfile"
	"dsiem/internal/text"
)

// Options says what to validate and how to report it.
type Options struct {
	// Config holds the configuration files, ConfigName is how messages call the
	// directory.
	Config     fs.FS
	ConfigName string
	// Strict makes warnings fail the validation too.
	Strict bool
	// LintOff names warnings that are left out.
	LintOff []jsonfile.Lint
	// Plan prints the compiled plan of every directive.
	Plan bool
	// JSON prints one JSON object instead of text.
	JSON bool
	Out  io.Writer
}

// Run reports every problem of every configuration file. It returns
// config.ErrInvalid if there are errors, or warnings and Strict is set.
func Run(o *Options) error {
	c, err := config.Load(o.Config, o.ConfigName, o.LintOff...)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(o.Out)
	if o.JSON {
		err = writeJSON(out, c, o.Plan)
	} else {
		err = writeText(out, c, o.Plan)
	}
	if err := cmp.Or(err, out.Flush()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if c.Report.Count(jsonfile.Error) > 0 || o.Strict && c.Report.Count(jsonfile.Warning) > 0 {
		return config.ErrInvalid
	}
	return nil
}

func writeText(w io.Writer, c *config.Config, plan bool) error {
	if err := c.Report.Write(w); err != nil {
		return err
	}
	if plan {
		if err := writePlans(w, c.Plans); err != nil {
			return err
		}
	}
	off := ""
	if n := c.Report.SwitchedOff; n > 0 {
		off = fmt.Sprintf(" (and %s switched off)", text.Group(n))
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s; %s, %s%s\n",
		text.Count(len(c.Names), "file"), text.Count(len(c.Plans), "directive"), text.Count(c.Assets.Len(), "asset"),
		text.Count(c.Report.Count(jsonfile.Error), "error"), text.Count(c.Report.Count(jsonfile.Warning), "warning"), off)
	return err
}

func writeJSON(w io.Writer, c *config.Config, plan bool) error {
	v := validation{
		Files: len(c.Names), Directives: len(c.Plans), Assets: c.Assets.Len(),
		Errors: []jsonfile.Problem{}, Warnings: []jsonfile.Problem{}, SwitchedOff: c.Report.SwitchedOff,
	}
	for _, p := range c.Report.Problems {
		if p.Severity == jsonfile.Warning {
			v.Warnings = append(v.Warnings, p)
		} else {
			v.Errors = append(v.Errors, p)
		}
	}
	if plan {
		for _, p := range c.Plans {
			v.Plans = append(v.Plans, planOf(p.Plan))
		}
		counts := countKeys(c.Plans)
		v.Keys = &counts
	}
	if err := json.MarshalWrite(w, &v, jsontext.WithIndent("  "), json.Deterministic(true)); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// validation is the report for machines.
type validation struct {
	Files      int                `json:"files"`
	Directives int                `json:"directives"`
	Assets     int                `json:"assets"`
	Errors     []jsonfile.Problem `json:"errors"`
	Warnings   []jsonfile.Problem `json:"warnings"`
	// SwitchedOff is the number of warnings that were left out.
	SwitchedOff int        `json:"warnings_switched_off,omitzero"`
	Plans       []planJSON `json:"plans,omitzero"`
	Keys        *keyCounts `json:"keys,omitzero"`
}

type planJSON struct {
	Directive uint64      `json:"directive"`
	Name      string      `json:"name"`
	Stages    []stageJSON `json:"stages"`
}

type stageJSON struct {
	Stage      int      `json:"stage"`
	Type       string   `json:"type"`
	Keys       []string `json:"index_keys"`
	Conditions []string `json:"conditions"`
	Join       []string `json:"join_key"`
}

func planOf(p *directive.Plan) planJSON {
	out := planJSON{Directive: p.ID, Name: p.Name}
	for i := range p.Stages {
		s := &p.Stages[i]
		stage := stageJSON{
			Stage: int(s.Number), Type: s.Type.String(), Keys: p.IndexKeys(i),
			Conditions: p.Tests(i), Join: s.Join.Names(),
		}
		out.Stages = append(out.Stages, stage)
	}
	return out
}

// maxShownKeys is the number of index keys that are printed of one stage.
const maxShownKeys = 8

// writePlans prints how each directive is matched.
func writePlans(w io.Writer, plans []correlate.Planned) error {
	var b strings.Builder
	for _, planned := range plans {
		p := planOf(planned.Plan)
		flag := ""
		if planned.Plan.AllRulesAlwaysActive {
			flag = ", all rules always active"
		}
		fmt.Fprintf(&b, "directive %d  %s%s\n", p.Directive, p.Name, flag)
		for _, s := range p.Stages {
			keys := s.Keys
			more := ""
			if len(keys) > maxShownKeys {
				more = fmt.Sprintf(" and %s more", text.Group(len(keys)-maxShownKeys))
				keys = keys[:maxShownKeys]
			}
			fmt.Fprintf(&b, "  stage %-3d key %s%s\n", s.Stage, strings.Join(keys, " "), more)
			fmt.Fprintf(&b, "            tests %s; joins on %s\n", orNone(s.Conditions), orNone(s.Join))
		}
	}
	counts := countKeys(plans)
	fmt.Fprintf(&b, "keys: %s by plugin, %s by taxonomy, %s by both\n",
		text.Count(counts.Plugin, "directive"), text.Count(counts.Taxonomy, "directive"), text.Count(counts.Both, "directive"))
	fmt.Fprintf(&b, "index: %s for plugins, %s for taxonomies\n",
		text.Count(counts.PluginKeys, "entry"), text.Count(counts.TaxonomyKeys, "entry"))
	for _, name := range slices.Sorted(maps.Keys(counts.Joins)) {
		fmt.Fprintf(&b, "later stages that join on %s: %s\n", name, text.Group(counts.Joins[name]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, " and ")
}

// keyCounts sums up how the directives of a configuration are found.
type keyCounts struct {
	// Plugin, Taxonomy and Both count directives by the types of their rules.
	Plugin   int `json:"plugin"`
	Taxonomy int `json:"taxonomy"`
	Both     int `json:"both"`
	// PluginKeys and TaxonomyKeys are the sizes of the index.
	PluginKeys   int `json:"plugin_keys"`
	TaxonomyKeys int `json:"taxonomy_keys"`
	// Joins counts the stages after the first by their join key.
	Joins map[string]int `json:"joins"`
}

func countKeys(plans []correlate.Planned) keyCounts {
	c := keyCounts{Joins: map[string]int{}}
	keys := map[directive.Type]map[string]bool{directive.PluginRule: {}, directive.TaxonomyRule: {}}
	for _, p := range plans {
		types := map[directive.Type]bool{}
		for i := range p.Plan.Stages {
			s := &p.Plan.Stages[i]
			types[s.Type] = true
			for _, key := range p.Plan.IndexKeys(i) {
				keys[s.Type][key] = true
			}
			if i > 0 {
				c.Joins[orNone(s.Join.Names())]++
			}
		}
		switch {
		case types[directive.PluginRule] && types[directive.TaxonomyRule]:
			c.Both++
		case types[directive.TaxonomyRule]:
			c.Taxonomy++
		default:
			c.Plugin++
		}
	}
	c.PluginKeys, c.TaxonomyKeys = len(keys[directive.PluginRule]), len(keys[directive.TaxonomyRule])
	return c
}
