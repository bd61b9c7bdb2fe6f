package acceptance

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"

	"github.com/nats-io/nats-server/v2/server"
)

// serverVariable turns the binary of the tests into a NATS server on the port
// that it names, so that a test can have one as a process and kill it.
const serverVariable = "ACCEPTANCE_NATS_PORT"

// beServer is a NATS server until SIGTERM, or until the tests have ended, which
// the end of standard input tells. It returns the exit code.
func beServer() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	port, err := strconv.Atoi(os.Getenv(serverVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for begun := time.Now(); time.Since(begun) < testkit.Patience && ctx.Err() == nil; {
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		s.Start()
		ready := s.ReadyForConnections(time.Second)
		if ready {
			fmt.Println("listening on", s.Addr())
			<-ctx.Done()
		}
		s.Shutdown()
		s.WaitForShutdown()
		if ready {
			return 0
		} // else another process holds the port for a moment
	}
	return 1
}

// natsProcess is a NATS server as a process. It keeps its port over restarts.
type natsProcess struct {
	*node
	port string
}

// startNATSProcess starts a NATS server as a process, on a free port.
func startNATSProcess(t testing.TB) *natsProcess {
	t.Helper()
	s := &natsProcess{port: strconv.Itoa(natstest.FreePort(t))}
	s.begin(t)
	return s
}

// restart starts the server again after its end.
func (s *natsProcess) restart() {
	s.t.Helper()
	s.begin(s.t)
}

func (s *natsProcess) begin(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	testkit.Check(t, err)
	cmd := testkit.Command(t, self)
	cmd.Env = append(os.Environ(), serverVariable+"="+s.port)
	_, err = cmd.StdinPipe() // it ends with this process
	testkit.Check(t, err)
	s.node = (&home{t: t}).run(cmd)
	_, address, _ := strings.Cut(s.says("listening on "), "listening on ")
	_, s.port, err = net.SplitHostPort(address)
	testkit.Check(t, err)
}

func (s *natsProcess) url() string { return "nats://127.0.0.1:" + s.port }

// smallPayloads is a server that takes messages of 2 KiB.
var smallPayloads = natstest.Options{Configure: func(o *server.Options) { o.MaxPayload = 2 << 10 }}
