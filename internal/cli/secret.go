package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"dsiem/internal/cli/options"
	"dsiem/internal/web/auth"

	"golang.org/x/term"
)

// maxPasswordLine is more than the longest line with a password, in bytes.
const maxPasswordLine = 4096

type secretCommand struct {
	Password bool     `help:"Hash a password instead of making a token: it is asked for at the terminal, or the first line of standard input."`
	Name     string   `default:"client" placeholder:"NAME" help:"Name of the user in the snippet (${default})."`
	Rights   []string `enum:"intake,config-read,config-write,diagnostics,all" default:"intake" placeholder:"RIGHT" help:"Rights of the user in the snippet: ${enum} (${default})."`
}

// Help is shown below the flags.
func (secretCommand) Help() string {
	return `Prints a new random token and its hash, and the user to put into the file of --auth-file, which holds the hash only.
The token is not stored anywhere: whoever uses the service sends it as "Authorization: Bearer TOKEN". Tokens suit
programs; a password suits a person, whose browser or curl sends it with the name of the user.`
}

// authUser is a user in the file of --auth-file.
type authUser struct {
	Name     string   `json:"name"`
	Token    string   `json:"token_sha256,omitempty"`
	Password string   `json:"password,omitempty"`
	Rights   []string `json:"rights"`
}

// Run makes a secret, or hashes one.
func (c *secretCommand) Run(ctx context.Context, streams Streams) error {
	if err := c.check(); err != nil {
		return err
	}
	user := authUser{Name: c.Name, Rights: c.Rights}
	var made string
	if c.Password {
		password, err := askPassword(ctx, streams)
		if err != nil {
			return err
		}
		if user.Password, err = auth.HashPassword(password); err != nil {
			return err
		}
		made = "hash:  " + user.Password + "\n"
	} else {
		var token string
		token, user.Token = auth.NewToken()
		made = "token: " + token + "\nhash:  " + user.Token + "\n"
	}
	var snippet strings.Builder
	e := json.NewEncoder(&snippet)
	e.SetEscapeHTML(false)
	if err := e.Encode(user); err != nil { //nolint:gosec // what it holds is the hash
		return fmt.Errorf("writing the snippet: %w", err)
	}
	_, err := fmt.Fprintf(streams.Out, "%s\nA file for --auth-file; further users follow after a comma:\n\n{ \"users\": [\n  %s] }\n", made, &snippet)
	return err
}

// check refuses a name that the file could not have.
func (c *secretCommand) check() error {
	switch {
	case c.Name == "" || strings.Contains(c.Name, ":") || options.Printable(c.Name) != c.Name:
		return options.UsageError("--name must not be empty, nor contain a colon or control characters")
	case len(c.Rights) == 0:
		return options.UsageError("--rights must name at least one right")
	}
	return nil
}

// askPassword returns the password that is typed twice at a terminal, or the
// first line of anything else.
func askPassword(ctx context.Context, streams Streams) (string, error) {
	file, ok := streams.In.(*os.File)
	if !ok || !terminal(file) {
		return firstLine(streams.In)
	}
	first, err := typed(ctx, file, streams.Err, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := typed(ctx, file, streams.Err, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

// firstLine returns a line without its end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPasswordLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// typed reads a line from a terminal without showing it. A signal ends that, and
// the terminal shows again what is typed.
func typed(ctx context.Context, file *os.File, prompts io.Writer, prompt string) (string, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	fd := int(file.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	type answer struct {
		line []byte
		err  error
	}
	answered := make(chan answer, 1)
	fmt.Fprint(prompts, prompt)
	go func() { // nothing ends a read of a terminal, so at a signal it is left
		line, err := term.ReadPassword(fd)
		answered <- answer{line, err}
	}()
	select {
	case a := <-answered:
		fmt.Fprintln(prompts)
		if a.err != nil {
			return "", fmt.Errorf("reading the password: %w", a.err)
		}
		return string(a.line), nil
	case <-ctx.Done():
		fmt.Fprintln(prompts)
		if err := term.Restore(fd, before); err != nil {
			return "", fmt.Errorf("interrupted, and the terminal does not show what is typed; run stty echo: %w", err)
		}
		return "", errors.New("interrupted")
	}
}
