//go:build linux && !(386 || arm || mips || mipsle)

package faultfs

import (
	"os/exec"
	"runtime"
	"syscall"
)

// guard watches over a mount: a process that dies while one of its own threads
// waits for the volume would never end, because nobody is left to answer. It
// holds the thread that started it, whose end is the signal (prctl(2),
// PR_SET_PDEATHSIG); then it takes the mount away by force.
type guard struct {
	stop    chan struct{}
	stopped chan struct{}
}

func startGuard(dir string) (*guard, error) {
	g := &guard{stop: make(chan struct{}), stopped: make(chan struct{})}
	started := make(chan error)
	go g.run(dir, started)
	return g, <-started
}

func (g *guard) run(dir string, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(g.stopped)
	// A shell that waits in a read may miss a signal that comes just before, for
	// ever; a dying process keeps its end of the pipe open as long as it hangs.
	c := exec.Command("sh", "-c", `trap 'exec umount --no-canonicalize --force --lazy "$0"' TERM; echo; while :; do sleep 0.1; done`, dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err == nil { // before it listens, the signal would only end it
		_, err = out.Read(make([]byte, 1))
	}
	started <- err
	if err != nil {
		return
	}
	<-g.stop
	_ = c.Process.Kill()
	_ = c.Wait() // killed
}

// end is for when the mount is gone.
func (g *guard) end() {
	close(g.stop)
	<-g.stopped
}
