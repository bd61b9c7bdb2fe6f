// Command deploylint checks the Dockerfile and the compose files of deploy with
// the parsers that Docker itself uses, so that no container engine is needed:
//
//	go run -C tools/deploylint . ../..
//
// It reports every problem with its place and ends with 1 if there is one. The
// argument is the top directory of the repository. It also builds dsiem from what
// .dockerignore lets into an image, as the Dockerfile does, and asks "docker
// compose" too where that is installed. It owns no state and changes nothing; what
// it writes is in a temporary directory.
//
// It is a module of its own, so that these parsers are no dependencies of Dsiem.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// problem is something to repair, with its place.
type problem struct {
	file string // from the top directory
	line int    // 0 if it is about the whole file
	text string
}

func (p problem) String() string {
	if p.line == 0 {
		return p.file + ": " + p.text
	}
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text)
}

const (
	dockerfileName   = "deploy/docker/Dockerfile"
	dockerignoreName = ".dockerignore"
	composeFiles     = "deploy/compose/*.yml"
	composeExample   = "deploy/compose/env.example"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) > 1 {
		fmt.Fprintln(errs, "usage: deploylint [DIRECTORY]")
		return 2
	}
	repo := "."
	if len(args) == 1 {
		repo = args[0]
	}
	problems, err := lint(ctx, repo, out)
	if err != nil {
		fmt.Fprintln(errs, "deploylint:", err)
		return 1
	}
	for _, p := range problems {
		fmt.Fprintln(out, p)
	}
	if len(problems) > 0 {
		return 1
	}
	return 0
}

// lint checks everything and tells what it has looked at.
func lint(ctx context.Context, repo string, out io.Writer) ([]problem, error) {
	repo, err := filepath.Abs(repo)
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w", repo, err)
	}
	image, err := contextOf(repo)
	if err != nil {
		return nil, err
	}
	problems, err := checkDockerfile(ctx, repo, image)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%s: parsed, %d files in the build context\n", dockerfileName, len(image))
	if err := buildProgram(ctx, repo, image); err != nil {
		problems = append(problems, problem{file: dockerignoreName, text: err.Error()})
	} else {
		fmt.Fprintf(out, "%s: dsiem can be built from the build context\n", dockerfileName)
	}
	files, err := filepath.Glob(filepath.Join(repo, composeFiles))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no compose files: %w", err)
	}
	found, err := checkCompose(ctx, repo, files)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "deploy/compose: %d files loaded\n", len(files))
	asked, err := askEngine(ctx, repo, files, out)
	if err != nil {
		return nil, err
	}
	return append(append(problems, found...), asked...), nil
}
