package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
)

// checkDockerfile runs BuildKit's own checks, those of "docker build --check",
// and ours.
func checkDockerfile(ctx context.Context, repo string, image []string) ([]problem, error) {
	text, err := os.ReadFile(filepath.Join(repo, dockerfileName))
	if err != nil {
		return nil, err
	}
	goMod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		return nil, err
	}
	problems, err := checkByBuildKit(ctx, text)
	if err != nil || len(problems) > 0 {
		return problems, err
	}
	tree, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", dockerfileName, err)
	}
	stages, args, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", dockerfileName, err)
	}
	d := &dockerfile{stages: stages, args: map[string]string{}, image: image}
	for _, a := range args {
		for _, pair := range a.Args {
			d.args[pair.Key] = pair.ValueString()
		}
	}
	d.checkVersions(string(goMod))
	d.checkSources()
	d.checkLastStage()
	return d.problems, nil
}

// offline answers for the registry: the checks need to know no more of an image
// than its platform.
type offline struct{}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (offline) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},"rootfs":{"type":"layers"}}`)
	return ref, digest.FromBytes(config), config, nil
}

func checkByBuildKit(ctx context.Context, text []byte) ([]problem, error) {
	source := llb.NewSourceMap(nil, dockerfileName, "Dockerfile", text)
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{MetaResolver: offline{}, SourceMap: source})
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", dockerfileName, err)
	}
	var problems []problem
	for i := range results.Warnings {
		w := &results.Warnings[i]
		line := 0
		if ranges := w.Location.GetRanges(); len(ranges) > 0 {
			line = int(ranges[0].GetStart().GetLine())
		}
		problems = append(problems, problem{dockerfileName, line, w.RuleName + ": " + w.Detail})
	}
	if results.Error != nil {
		problems = append(problems, problem{file: dockerfileName, text: results.Error.Message})
	}
	return problems, nil
}

// dockerfile is a Dockerfile that BuildKit accepts, and what we have against it.
type dockerfile struct {
	stages   []instructions.Stage
	args     map[string]string // those before the first FROM
	image    []string          // the build context
	problems []problem
}

func (d *dockerfile) report(at []parser.Range, format string, values ...any) {
	line := 0
	if len(at) > 0 {
		line = at[0].Start.Line
	}
	d.problems = append(d.problems, problem{dockerfileName, line, fmt.Sprintf(format, values...)})
}

var (
	// pinned is the tag of an image that names a whole version.
	pinned    = regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?(@sha256:[0-9a-f]{64})?$`)
	reference = regexp.MustCompile(`\$\{(\w+)\}`)
	goVersion = regexp.MustCompile(`(?m)^go (\S+)$`)
)

// checkVersions wants images of whole versions, and the Go that go.mod names.
func (d *dockerfile) checkVersions(goMod string) {
	wanted := goVersion.FindStringSubmatch(goMod)
	if wanted == nil || d.args["GO_VERSION"] != wanted[1] {
		d.report(nil, "GO_VERSION is %q, not the version in go.mod", d.args["GO_VERSION"])
	}
	for i := range d.stages {
		s := &d.stages[i]
		name := reference.ReplaceAllStringFunc(s.BaseName, func(ref string) string { return d.args[reference.FindStringSubmatch(ref)[1]] })
		if d.stage(name) < 0 && !pinned.MatchString(name) {
			d.report(s.Location, "the image %s has no whole version", name)
		}
	}
}

// stage returns the number of a stage, -1 if there is none of this name.
func (d *dockerfile) stage(name string) int {
	return slices.IndexFunc(d.stages, func(s instructions.Stage) bool { return s.Name != "" && strings.EqualFold(s.Name, name) })
}

// checkSources wants what is copied to be there.
func (d *dockerfile) checkSources() {
	for i := range d.stages {
		for _, command := range d.stages[i].Commands {
			c, isCopy := command.(*instructions.CopyCommand)
			switch {
			case !isCopy:
			case c.From != "":
				if d.stage(c.From) < 0 {
					d.report(c.Location(), "there is no stage %s", c.From)
				}
			default:
				for _, source := range c.SourcePaths {
					if !inContext(d.image, source) {
						d.report(c.Location(), "%s is not in the build context: it does not exist, or %s excludes it", source, dockerignoreName)
					}
				}
			}
		}
	}
}

// numericUser is a user, by number and not root, so that a platform can see it.
var numericUser = regexp.MustCompile(`^[1-9]\d*(:[1-9]\d*)?$`)

// checkLastStage wants an image that runs as nobody in particular, says how it is,
// can be stopped, and keeps the references' volumes and port (docs/spec/interfaces.md §7.2).
func (d *dockerfile) checkLastStage() {
	last := &d.stages[len(d.stages)-1]
	var user, stop string
	var volumes, ports []string
	labels := map[string]bool{}
	var entrypoint *instructions.EntrypointCommand
	var health *instructions.HealthCheckCommand
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.StopSignalCommand:
			stop = c.Signal
		case *instructions.VolumeCommand:
			volumes = append(volumes, c.Volumes...)
		case *instructions.ExposeCommand:
			ports = append(ports, c.Ports...)
		case *instructions.EntrypointCommand:
			entrypoint = c
		case *instructions.HealthCheckCommand:
			health = c
		case *instructions.LabelCommand:
			for _, l := range c.Labels {
				labels[l.Key] = true
			}
		}
	}
	if !numericUser.MatchString(user) {
		d.report(last.Location, "USER is %q, not the number of a user that is not root", user)
	}
	if entrypoint == nil || entrypoint.PrependShell {
		d.report(last.Location, "there is no ENTRYPOINT in exec form, so signals would not reach the program")
	}
	if health == nil || health.Health == nil || len(health.Health.Test) == 0 || health.Health.Test[0] != "CMD" {
		d.report(last.Location, "there is no HEALTHCHECK in exec form")
	}
	if stop != "SIGTERM" {
		d.report(last.Location, "STOPSIGNAL is %q, not SIGTERM", stop)
	}
	for _, volume := range []string{"/dsiem/logs", "/dsiem/configs"} {
		if !slices.Contains(volumes, volume) {
			d.report(last.Location, "%s is no VOLUME", volume)
		}
	}
	if !slices.Contains(ports, strconv.Itoa(8080)) {
		d.report(last.Location, "8080 is not EXPOSEd")
	}
	for _, label := range []string{"title", "description", "licenses", "version", "revision"} {
		if !labels["org.opencontainers.image."+label] {
			d.report(last.Location, "there is no label org.opencontainers.image.%s", label)
		}
	}
}
