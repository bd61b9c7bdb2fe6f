package bench

import (
	"os/exec"
	"syscall"
)

// endWithParent lets a process end when the thread that starts it does, even if
// that is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
