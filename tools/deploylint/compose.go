package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// checkCompose loads the compose files as "docker compose config" does, with
// nothing set and with everything set that env.example has.
func checkCompose(ctx context.Context, repo string, files []string) ([]problem, error) {
	example, err := readExample(filepath.Join(repo, composeExample))
	if err != nil {
		return nil, err
	}
	var problems []problem
	used := map[string]bool{}
	for _, file := range files {
		name, err := filepath.Rel(repo, file)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		problems = append(problems, checkVariables(name, string(text), example, used)...)
		for _, env := range [][]string{nil, example} {
			project, err := load(ctx, file, env)
			if err != nil {
				problems = append(problems, problem{file: name, text: err.Error()})
				break
			}
			problems = append(problems, checkProject(repo, name, project)...)
		}
	}
	for _, variable := range example {
		if name, _, _ := strings.Cut(variable, "="); !used[name] {
			problems = append(problems, problem{file: composeExample, text: name + " is used by no compose file"})
		}
	}
	slices.SortFunc(problems, func(a, b problem) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(problems), nil
}

var exampleForm = regexp.MustCompile(`^#?([A-Z][A-Z0-9_]*)=(.*)$`)

// readExample returns the variables of env.example, those in comments too. What
// has no value there gets one.
func readExample(name string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var variables []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if m := exampleForm.FindStringSubmatch(lines.Text()); m != nil {
			if m[2] == "" {
				m[2] = "set"
			}
			variables = append(variables, m[1]+"="+m[2])
		}
	}
	if len(variables) == 0 {
		return nil, fmt.Errorf("%s has no variables", name)
	}
	return variables, nil
}

var (
	interpolation = regexp.MustCompile(`(?:^|[^$])\$(?:\{([A-Z][A-Z0-9_]*)([^}]*)\}|([A-Z][A-Z0-9_]*))`)
	commentLine   = regexp.MustCompile(`^\s*#`)
)

// checkVariables wants each variable to have a default, and to be in env.example
// with the same value. It notes which are used.
func checkVariables(name, text string, example []string, used map[string]bool) (problems []problem) {
	for i, line := range strings.Split(text, "\n") {
		if commentLine.MatchString(line) {
			continue
		}
		for _, m := range interpolation.FindAllStringSubmatch(line, -1) {
			variable := m[1] + m[3]
			used[variable] = true
			fallback, hasDefault := strings.CutPrefix(m[2], ":-")
			at := slices.IndexFunc(example, func(e string) bool { return strings.HasPrefix(e, variable+"=") })
			switch {
			case !hasDefault:
				problems = append(problems, problem{name, i + 1, variable + " has no default"})
			case at < 0:
				problems = append(problems, problem{name, i + 1, variable + " is not in " + composeExample})
			case strings.Contains(variable, "VERSION") && example[at] != variable+"="+fallback:
				problems = append(problems, problem{name, i + 1, variable + " has another default than in " + composeExample})
			}
		}
	}
	return problems
}

func load(ctx context.Context, file string, env []string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv(env), cli.WithResolvedPaths(true), cli.WithNormalization(true))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

// checkProject checks what the loader does not.
func checkProject(repo, name string, project *types.Project) (problems []problem) {
	report := func(service, format string, values ...any) {
		problems = append(problems, problem{file: name, text: "service " + service + ": " + fmt.Sprintf(format, values...)})
	}
	for _, service := range project.Services {
		s := &service
		say := func(format string, values ...any) { report(s.Name, format, values...) }
		checkImage(s, say)
		checkLife(s, say)
		checkIsolation(s, say)
		for i := range s.Volumes {
			checkMount(repo, &s.Volumes[i], say)
		}
		for port := range slices.Values(s.Ports) {
			if !strings.HasPrefix(port.HostIP, "127.") {
				say("port %s is published to the network by default", port.Published)
			}
		}
	}
	return problems
}

// checkImage wants an image of a whole version, or one that can be built.
func checkImage(s *types.ServiceConfig, say func(string, ...any)) {
	if s.Build == nil {
		if !pinned.MatchString(s.Image) {
			say("the image %s has no whole version", s.Image)
		}
		return
	}
	if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
		say("the Dockerfile: %v", err)
	}
}

// shortestStop is how long a node must have to save its backlogs, with a margin.
const shortestStop = 10 * time.Second

// checkLife wants a service to say how it is, to come back, and to have time to
// stop.
func checkLife(s *types.ServiceConfig, say func(string, ...any)) {
	switch {
	case s.HealthCheck == nil:
		say("there is no health check")
	case s.HealthCheck.Disable && s.Restart != "on-failure":
		say("the health check is off, and the service does not run only once")
	case !s.HealthCheck.Disable && (len(s.HealthCheck.Test) < 2 || s.HealthCheck.StartPeriod == nil):
		say("the health check has no test or no time to start")
	}
	if s.Restart == "" || s.Restart == "no" {
		say("nothing restarts it")
	}
	if s.StopGracePeriod == nil || s.Build != nil && time.Duration(*s.StopGracePeriod) < shortestStop {
		say("there is no stop_grace_period, or it is too short")
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 {
		say("it has no limits of memory and CPU")
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" {
		say("its log may fill the disk")
	}
}

// checkIsolation wants a service to have no rights that it does not need; one of ours
// can do without any.
func checkIsolation(s *types.ServiceConfig, say func(string, ...any)) {
	if s.Privileged || s.NetworkMode == "host" || s.User == "root" || strings.HasPrefix(s.User, "0") {
		say("it is privileged, root or in the network of the host")
	}
	if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		say("it may get new privileges")
	}
	if s.Build != nil && (!s.ReadOnly || !slices.Contains(s.CapDrop, "ALL")) {
		say("it may write where it need not, or has capabilities")
	}
}

// checkMount wants what is mounted from the repository to be there, read-only.
func checkMount(repo string, v *types.ServiceVolumeConfig, say func(string, ...any)) {
	if v.Type != types.VolumeTypeBind {
		return
	}
	if _, err := os.Stat(v.Source); err != nil || !strings.HasPrefix(v.Source, repo+string(filepath.Separator)) {
		say("%s is not in the repository: %v", v.Source, err)
	}
	if !v.ReadOnly {
		say("%s can be written", v.Source)
	}
}

// askEngine lets "docker compose" look at the files too, if it is installed. That needs
// no running engine.
func askEngine(ctx context.Context, repo string, files []string, out io.Writer) ([]problem, error) {
	version, err := exec.CommandContext(ctx, "docker", "compose", "version", "--short").Output()
	if err != nil {
		if _, exits := errors.AsType[*exec.ExitError](err); exits || errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintln(out, "deploy/compose: skipped with docker compose, which is not installed")
			return nil, nil
		}
		return nil, fmt.Errorf("looking for docker compose: %w", err)
	}
	var problems []problem
	for _, file := range files {
		cmd := exec.CommandContext(ctx, "docker", "compose", "--env-file", os.DevNull, "--file", file, "config", "--quiet")
		if text, err := cmd.CombinedOutput(); err != nil {
			name, relErr := filepath.Rel(repo, file)
			if relErr != nil {
				return nil, relErr
			}
			problems = append(problems, problem{file: name, text: fmt.Sprintf("docker compose: %v: %s", err, strings.TrimSpace(string(text)))})
		}
	}
	fmt.Fprintf(out, "deploy/compose: checked with docker compose %s\n", strings.TrimSpace(string(version)))
	return problems, nil
}
