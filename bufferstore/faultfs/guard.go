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
	c := exec.Command("sh", "-c", `trap 'exec umount --no-canonicalize --force --lazy "$0"' TERM; read never; kill -TERM $$`, dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	started <- err
	if err != nil {
		return
	}
	<-g.stop
	_ = c.Process.Kill()
	_ = c.Wait() // killed
	_ = in.Close()
}

// end is for when the mount is gone.
func (g *guard) end() {
	close(g.stop)
	<-g.stopped
}
