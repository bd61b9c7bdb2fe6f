package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// copied returns a repository with the files that are checked, but without code.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "LICENSE", dockerignoreName, "cmd/dsiem/main.go", "internal/cli/cli.go"} {
		check(t, copyFile(filepath.Join(repository, name), filepath.Join(dir, name)))
	}
	check(t, os.CopyFS(filepath.Join(dir, "deploy"), os.DirFS(filepath.Join(repository, "deploy"))))
	return dir
}

// edit replaces a text that must be there.
func edit(t *testing.T, dir, name, old, replacement string) {
	t.Helper()
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	check(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	check(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, replacement, 1)), 0o644))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantProblem wants one problem with a text, and none if the text is "".
func wantProblem(t *testing.T, got []problem, want string) {
	t.Helper()
	if want == "" && len(got) > 0 || want != "" && !slices.ContainsFunc(got, func(p problem) bool { return strings.Contains(p.String(), want) }) {
		t.Errorf("want %q, got %v", want, got)
	}
}

func TestDockerfileProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, replacement, want string }{
		"none":                        {"EXPOSE 8080", "EXPOSE 8080", ""},
		"no instruction":              {"EXPOSE 8080", "EXPOSES 8080", "unknown instruction"},
		"BuildKit's own":              {"AS build", "as build", "FromAsCasing"},
		"an argument that is not set": {"${TARGETOS}", "${TARGETO}", ""},
		"another Go":                  {"GO_VERSION=1.", "GO_VERSION=0.", "not the version in go.mod"},
		"a floating tag":              {"busybox:${BUSYBOX_VERSION}-musl", "busybox:musl", "the image busybox:musl has no whole version"},
		"latest":                      {"busybox:${BUSYBOX_VERSION}-musl", "busybox", "the image busybox has no whole version"},
		"half a version":              {"BUSYBOX_VERSION=1.37.0", "BUSYBOX_VERSION=1.37", "the image busybox:1.37-musl has no whole version"},
		"a source that is not there":  {"COPY cmd cmd", "COPY command cmd", "command is not in the build context"},
		"a source that is excluded":   {"COPY LICENSE ./", "COPY docs ./", "docs is not in the build context"},
		"no such stage":               {"--from=build --chown=0:0", "--from=built --chown=0:0", "there is no stage built"},
		"root":                        {"USER 10001:10001", "USER 0:0", `USER is "0:0"`},
		"a user by name":              {"USER 10001:10001", "USER dsiem", `USER is "dsiem"`},
		"no user":                     {"USER 10001:10001\n", "", `USER is ""`},
		"a shell around the program":  {`ENTRYPOINT ["/dsiem/entrypoint.sh"]`, "ENTRYPOINT /dsiem/entrypoint.sh", "JSONArgsRecommended"},
		"no program":                  {`ENTRYPOINT ["/dsiem/entrypoint.sh"]`, "", "no ENTRYPOINT in exec form"},
		"health by a shell":           {`CMD ["/dsiem/entrypoint.sh", "healthcheck"]`, "CMD /dsiem/dsiem healthcheck", "no HEALTHCHECK in exec form"},
		"no volume":                   {`"/dsiem/logs", `, "", "/dsiem/logs is no VOLUME"},
		"another port":                {"EXPOSE 8080", "EXPOSE 8081", "8080 is not EXPOSEd"},
		"another signal":              {"STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", `STOPSIGNAL is "SIGKILL"`},
		"a label":                     {"image.licenses", "image.license", "no label org.opencontainers.image.licenses"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			edit(t, dir, dockerfileName, c.old, c.replacement)
			image, err := contextOf(dir)
			check(t, err)
			got, err := checkDockerfile(t.Context(), dir, image)
			check(t, err)
			wantProblem(t, got, c.want)
		})
	}
}

func TestComposeProblems(t *testing.T) {
	t.Parallel()
	const standalone, cluster, elk = "standalone.yml", "cluster.yml", "cluster-elk.yml"
	for name, c := range map[string]struct{ file, old, replacement, want string }{
		"none":                        {standalone, "restart:", "restart:", ""},
		"no YAML":                     {standalone, "services:", "services: [", "standalone.yml: "},
		"no such key":                 {standalone, "restart:", "restarts:", "services.dsiem.restarts"},
		"no such volume":              {standalone, "- dsiem-logs:", "- dsiem-log:", "undefined volume dsiem-log"},
		"no such service":             {cluster, "    dsiem-frontend:\n      condition", "    frontend:\n      condition", `undefined service "frontend"`},
		"no such network":             {cluster, "networks: [default, messages]", "networks: [default, message]", "undefined network message"},
		"nothing to extend":           {elk, "service: dsiem-backend-1", "service: dsiem-backend-2", "dsiem-backend-2"},
		"no such Dockerfile":          {standalone, "deploy/docker/Dockerfile", "Dockerfile", "the Dockerfile: stat"},
		"a floating tag":              {cluster, "nats:${NATS_VERSION:-", "nats:${NATS_VERSION:-2-", "no whole version"},
		"a variable without default":  {standalone, "${DSIEM_MAXEPS:-1000}", "${DSIEM_MAXEPS}", "standalone.yml:16: DSIEM_MAXEPS has no default"},
		"a variable nobody knows":     {standalone, "${DSIEM_MAXEPS:-1000}", "${MAXEPS:-1000}", "MAXEPS is not in deploy/compose/env.example"},
		"another version":             {elk, "kibana:${ELASTIC_VERSION:-8", "kibana:${ELASTIC_VERSION:-7", "another default than in"},
		"no health check":             {cluster, "healthcheck:\n      test: [\"CMD\", \"wget\"", "x-healthcheck:\n      test: [\"CMD\", \"wget\"", "service nats: there is no health check"},
		"nothing restarts":            {standalone, "restart: unless-stopped", "restart: \"no\"", "service dsiem: nothing restarts it"},
		"no time to stop":             {standalone, "stop_grace_period: 30s", "stop_grace_period: 3s", "service dsiem: there is no stop_grace_period, or it is too short"},
		"no limits":                   {standalone, "          memory: 2G\n", "", "service dsiem: it has no limits"},
		"an endless log":              {standalone, "max-size: 10m", "max-siz: 10m", "service dsiem: its log may fill the disk"},
		"privileged":                  {standalone, "read_only: true", "privileged: true\n    read_only: true", "service dsiem: it is privileged"},
		"writable":                    {standalone, "read_only: true", "read_only: false", "service dsiem: it may write"},
		"new privileges":              {standalone, `"no-new-privileges:true"`, `"no-new-privileges:false"`, "service dsiem: it may get new privileges"},
		"published to everybody":      {elk, "${KIBANA_PUBLISH:-127.0.0.1:5601}", "${KIBANA_PUBLISH:-5601}", "port 5601 is published to the network"},
		"a mount that is not there":   {elk, "../elk/filebeat/filebeat.yml:", "../elk/filebeat.yml:", "filebeat.yml is not in the repository"},
		"a mount that can be written": {elk, "filebeat.yml:ro", "filebeat.yml", "filebeat.yml can be written"},
		"an example nobody uses":      {"env.example", "#DSIEM_JSON=", "#DSIEM_JSO=", "DSIEM_JSO is used by no compose file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			edit(t, dir, "deploy/compose/"+c.file, c.old, c.replacement)
			files, err := filepath.Glob(filepath.Join(dir, composeFiles))
			check(t, err)
			got, err := checkCompose(t.Context(), dir, files)
			check(t, err)
			wantProblem(t, got, c.want)
		})
	}
}

func TestTheBuildContextHasCodeAndNoTests(t *testing.T) {
	t.Parallel()
	image, err := contextOf(repository)
	check(t, err)
	for _, name := range []string{"go.mod", "go.sum", "LICENSE", "cmd/dsiem/main.go", "internal/cli/cli.go", "internal/sample/configs/assets_demo.json", "deploy/docker/entrypoint.sh"} {
		if !slices.Contains(image, name) {
			t.Errorf("%s is not there", name)
		}
	}
	for _, name := range image {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") || strings.HasPrefix(name, ".git") || strings.HasPrefix(name, "tools/") {
			t.Errorf("%s is there", name)
		}
	}
}

func TestCodeThatIsMissingFailsTheBuild(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	image, err := contextOf(dir)
	check(t, err)
	if err := buildProgram(t.Context(), dir, image); err == nil || !strings.Contains(err.Error(), "cannot be built") {
		t.Errorf("got %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"a", "b"}, &out, &errs); code != 2 || !strings.Contains(errs.String(), "usage: ") {
		t.Errorf("two arguments: %d, %q", code, errs.String())
	}
	errs.Reset()
	if code := run(t.Context(), []string{t.TempDir()}, &out, &errs); code != 1 || !strings.Contains(errs.String(), dockerignoreName) {
		t.Errorf("an empty directory: %d, %q", code, errs.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{copied(t)}, &out, &errs); code != 1 || !strings.Contains(out.String(), ".dockerignore: dsiem cannot be built") {
		t.Errorf("a repository without code: %d, %q", code, out.String())
	}
}
