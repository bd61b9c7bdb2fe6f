package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dsiem/internal/alarm"
)

// What is in the configuration of a workload.
const (
	stages = 3
	// stageTimeout is longer than any run, so that no backlog expires whose attack
	// goes on.
	stageTimeout = 7 * 24 * 60 * 60
	// priorities and values go from 1 to this.
	priorities, values = 5, 5
	// directivesPerFile is about what rule sets have in one file.
	directivesPerFile = 1000
)

// reliability returns the reliability of a stage: risk grows, and some attacks
// are without any at first.
func reliability(stage int) int { return 4*stage - 2 }

func priority(directive uint64) int { return 1 + int(directive%priorities) }

// value returns the value of the network that an octet, the second one of an
// address, belongs to.
func value(octet uint64) int { return 1 + int(octet%values) }

// risk returns the risk of an attack when a stage is complete.
func (p *plan) risk(t target, stage int) int {
	return alarm.Risk(priority(t.directive), reliability(stage), value(p.octet(t.dst, 0)))
}

// configuration returns the files that the server needs, by name.
func (p *plan) configuration() map[string][]byte {
	files := map[string][]byte{"assets_bench.json": assetsFile()}
	for first := 0; first < p.Directives; first += directivesPerFile {
		name := fmt.Sprintf("directives_bench-%04d.json", first/directivesPerFile)
		files[name] = p.directivesFile(first, min(first+directivesPerFile, p.Directives), stageTimeout)
	}
	if p.abandoned > 0 {
		files["directives_bench-abandoned.json"] = p.directivesFile(p.Directives, p.Directives+lonely, int(p.Timeout/time.Second))
	}
	return files
}

// writeConfiguration writes the files to a directory, which it makes.
func (p *plan) writeConfiguration(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making a directory for the configuration: %w", err)
	}
	for name, content := range p.configuration() {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
	}
	return nil
}

// assetsFile holds the network of all destinations and its parts, which have
// different values.
func assetsFile() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"assets\": [\n  {\"name\": \"home\", \"cidr\": \"%s.0.0.0/8\", \"value\": 1}", homeNet)
	for octet := uint64(lowestOctet); octet < lowestOctet+octets; octet++ {
		fmt.Fprintf(&b, ",\n  {\"name\": \"site %[2]d\", \"cidr\": \"%[1]s.%[2]d.0.0/16\", \"value\": %[3]d}", homeNet, octet, value(octet))
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// directivesFile holds the directives first to end-1, whose later stages time out
// after a number of seconds.
func (p *plan) directivesFile(first, end, timeout int) []byte {
	var b bytes.Buffer
	b.WriteString("{\"directives\": [\n")
	for i := first; i < end; i++ {
		fmt.Fprintf(&b, `  {"id": %d, "name": "Benchmark attack %d, SRC_IP to DST_IP", "priority": %d, "kingdom": "Reconnaissance & Probing", "category": "Benchmark", "rules": [`,
			i+1, i+1, priority(uint64(i))) //nolint:gosec // not negative
		for stage := 1; stage <= stages; stage++ {
			from, to, occurrence, wait, separator := ":1", ":1", p.Occurrence, timeout, ","
			if stage == 1 {
				from, to, occurrence, wait, separator = "ANY", "HOME_NET", 1, 0, ""
			}
			fmt.Fprintf(&b, `%s
    {"name": "Stage %d of %d", "stage": %d, "type": "PluginRule", "plugin_id": %d, "plugin_sid": [%d], "occurrence": %d, `+
				`"from": "%s", "to": "%s", "port_from": "ANY", "port_to": "ANY", "protocol": "ANY", "reliability": %d, "timeout": %d}`,
				separator, stage, stages, stage, firstPlugin+i, firstSID+stage, occurrence, from, to, reliability(stage), wait)
		}
		b.WriteString("]}")
		if i < end-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]}\n")
	return b.Bytes()
}
