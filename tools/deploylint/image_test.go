package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The last RUN of the first stage lays out the image. Its commands are run here in
// a directory instead of /, with a program that is none.
func TestTheImageIsLaidOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image, err := contextOf(repository)
	check(t, err)
	for _, name := range image {
		if strings.HasPrefix(name, "deploy/") || name == "LICENSE" {
			check(t, copyFile(filepath.Join(repository, name), filepath.Join(dir, name)))
		}
	}
	for name, text := range map[string]string{"out/dsiem": "program", "etc/ssl/certs/ca-certificates.crt": "certificates"} {
		check(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	script := lastRun(t)
	for _, path := range []string{"/image", "/writable", "/out/", "/etc/ssl/certs/ca-certificates.crt"} {
		script = strings.ReplaceAll(script, " "+path, " "+dir+path)
		script = strings.ReplaceAll(script, ">"+path, ">"+dir+path)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := map[string]fs.FileMode{
		"dsiem/dsiem": 0o755, "dsiem/dsiem-backend": fs.ModeSymlink, "dsiem/dsiem-frontend": fs.ModeSymlink, "dsiem/entrypoint.sh": 0o755,
		"dsiem/LICENSE": 0o644, "dsiem/configs-dist/assets_demo.json": 0o644,
		"dsiem/configs-dist/directives_dsiem-backend-0_demo.json": 0o644, "dsiem/configs-dist/directives_dsiem-backend-1_demo.json": 0o644,
		"etc/ssl/certs/ca-certificates.crt": 0o755, "etc/passwd": 0o644, "etc/group": 0o644,
	}
	wantTree(t, filepath.Join(dir, "image"), want)
	wantTree(t, filepath.Join(dir, "writable"), map[string]fs.FileMode{})
	for _, name := range []string{"configs", "logs", "web/dist/assets/config"} {
		if info, err := os.Stat(filepath.Join(dir, "writable", name)); err != nil || info.Mode().Perm() != 0o775 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	for _, name := range []string{"dsiem-backend", "dsiem-frontend"} {
		if target, err := os.Readlink(filepath.Join(dir, "image/dsiem", name)); err != nil || target != "dsiem" {
			t.Errorf("%s is a link to %q, %v", name, target, err)
		}
	}
	for name, line := range map[string]string{"passwd": "dsiem:x:10001:10001:Dsiem:/dsiem:/bin/sh\n", "group": "dsiem:x:10001:\n"} {
		if text, err := os.ReadFile(filepath.Join(dir, "image/etc", name)); err != nil || !bytes.HasSuffix(text, []byte(line)) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// lastRun returns the script of the last RUN of the Dockerfile.
func lastRun(t *testing.T) (script string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, dockerfileName))
	check(t, err)
	tree, err := parser.Parse(bytes.NewReader(text))
	check(t, err)
	stages, _, err := instructions.Parse(tree.AST, nil)
	check(t, err)
	for i := range stages {
		for _, command := range stages[i].Commands {
			if run, isRun := command.(*instructions.RunCommand); isRun {
				script = strings.Join(run.CmdLine, " ")
			}
		}
	}
	return script
}

// wantTree wants these files in a directory and no others.
func wantTree(t *testing.T, dir string, want map[string]fs.FileMode) {
	t.Helper()
	got := map[string]fs.FileMode{}
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		mode := info.Mode()
		if mode&fs.ModeSymlink != 0 {
			mode = fs.ModeSymlink
		}
		got[name] = mode
		return err
	}))
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s has mode %v, want %v", name, got[name], want[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("besides: %v", got)
	}
}
