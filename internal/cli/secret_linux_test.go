package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new terminal: what is written to the
// keyboard is typed, and what is read from it is on the screen.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals: ", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals: ", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// typist types a line when a prompt asks for one, and keeps the prompts. A
// prompt is written before the terminal stops to show what is typed, so it
// waits for that.
type typist struct {
	t                  *testing.T
	keyboard, terminal *os.File
	lines              []string

	mu     sync.Mutex
	typing sync.WaitGroup
	prompt bytes.Buffer
}

func (p *typist) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.HasSuffix(text, []byte(": ")) && len(p.lines) > 0 {
		line := p.lines[0]
		p.lines = p.lines[1:]
		p.typing.Go(func() {
			for echoes(p.t, p.terminal) && p.t.Context().Err() == nil {
				runtime.Gosched() // the program is about to change that
			}
			_, _ = p.keyboard.WriteString(line + "\n")
		})
	}
	return p.prompt.Write(text)
}

// TestSecretAtTerminal: a password is typed twice, and not shown.
func TestSecretAtTerminal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lines []string
		code  int
		said  string
	}{
		"twice":     {[]string{"correct horse", "correct horse"}, exitDone, "Password: \nAgain: \n"},
		"different": {[]string{"correct horse", "correct house"}, exitFailed, "Password: \nAgain: \ndsiem: the two passwords differ\n"},
		"empty":     {[]string{"", ""}, exitFailed, "Password: \nAgain: \ndsiem: hashing a password: it is empty\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keyboard, terminal := openTerminal(t)
			p := &typist{t: t, keyboard: keyboard, terminal: terminal, lines: tt.lines}
			var out strings.Builder
			code := run(t.Context(), &process{Streams: Streams{In: terminal, Out: &out, Err: p}}, dsiem, []string{"secret", "--password"})
			p.typing.Wait()
			if code != tt.code || p.prompt.String() != tt.said || (code == exitDone) != strings.HasPrefix(out.String(), "hash:  $argon2id$") {
				t.Errorf("exit code %d\n%s%s", code, out.String(), p.prompt.String())
			}
			if !echoes(t, terminal) {
				t.Error("the terminal does not show any more what is typed")
			}
			if err := terminal.Close(); err != nil {
				t.Fatal(err)
			}
			screen := make([]byte, 1024)
			n, _ := keyboard.Read(screen) // an error tells that there is nothing
			if strings.Contains(string(screen[:n]), "horse") {
				t.Errorf("the screen shows %q", screen[:n])
			}
		})
	}
}

// TestSecretInterrupted: who leaves in the middle gets the terminal back as it
// was.
func TestSecretInterrupted(t *testing.T) {
	t.Parallel()
	keyboard, terminal := openTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	waiting := sync.WaitGroup{}
	prompts := writer(func(text []byte) {
		if string(text) == "Password: " {
			waiting.Go(func() {
				for echoes(t, terminal) && t.Context().Err() == nil {
					runtime.Gosched() // the program is about to change that
				}
				interrupt()
			})
		}
	})
	var out strings.Builder
	code := run(ctx, &process{Streams: Streams{In: terminal, Out: &out, Err: prompts}}, dsiem, []string{"secret", "--password"})
	waiting.Wait()
	if code != exitFailed || out.String() != "" || !echoes(t, terminal) {
		t.Errorf("exit code %d, echo %t\n%s", code, echoes(t, terminal), out.String())
	}
	if _, err := keyboard.WriteString("\n"); err != nil { // ends the read that was left
		t.Fatal(err)
	}
}

type writer func(text []byte)

func (w writer) Write(text []byte) (int, error) {
	w(text)
	return len(text), nil
}
