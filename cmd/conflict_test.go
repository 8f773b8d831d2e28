package cmd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

func TestPortInUseIsTakenWhenItIsFree(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	device := c.path("ttyS7")
	c.startCounting(device)
	plc := endpoint("plc", c.startCounting(""))
	c.configure("first.toml", c.path("first"), serialLine("rs485", device)+counting("far", "rs485", 1))
	c.configure("second.toml", c.path("second"), serialLine("rs485", device)+counting("far", "rs485", 1)+plc+counting("near", "plc", 11))
	first := c.start("skyhaul", "run", "--config", c.path("first.toml"))
	c.eventually("the first has the port", 10*time.Second, func() bool { return c.quality("first.toml", "far-COUNT") == "good" })
	c.start("skyhaul", "run", "--config", c.path("second.toml"))
	c.eventually("the second says who is in the way", 10*time.Second, func() bool {
		return c.says("second.toml", "Line rs485 is not connected", device, "port in use by another program")
	})
	c.eventually("the second reads what it can", 10*time.Second, func() bool { return c.quality("second.toml", "near-COUNT") == "good" })
	if got := c.quality("second.toml", "far-COUNT"); got != "bad: not connected" {
		t.Errorf("behind the port in use a point is %s", got)
	}
	if got := c.quality("first.toml", "far-COUNT"); got != "good" {
		t.Errorf("the first suffers: its point is %s", got)
	}
	if code := first.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	c.eventually("the second takes the port", 15*time.Second, func() bool { return c.quality("second.toml", "far-COUNT") == "good" })
}

func TestOneFolderHasOneDaemon(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", c.startCounting(""))+counting("near", "plc", 1))
	c.startSite()
	c.eventually("the first scans", 10*time.Second, func() bool { return c.quality("skyhaul.toml", "near-COUNT") == "good" })
	if line := c.refused(1, "run", "--config", c.path("skyhaul.toml")); !strings.HasSuffix(line, "in use by another process\n") {
		t.Errorf("the second said %s", line)
	}
	n := len(c.buffered())
	c.eventually("the first goes on", 5*time.Second, func() bool { return len(c.buffered()) > n })
	if _, ok := c.status("skyhaul.toml"); !ok {
		t.Error("the second took the socket of the first")
	}
}

func TestBrokerThatRefusesIsSaid(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto")
	c := newChain(t)
	_, port, _ := strings.Cut(c.broker, ":")
	c.write("mosquitto.conf", fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous false\n", port))
	c.startBroker()
	for _, version := range []int{5, 4} {
		file, state := fmt.Sprintf("mqtt%d.toml", version), c.path(fmt.Sprintf("edge%d", version))
		c.configure(file, state, endpoint("plc", c.startCounting(""))+counting("near", "plc", 1)+
			c.uplinkTo("tcp://"+c.broker)+fmt.Sprintf("mqtt = %d\n", version))
		site := c.start("skyhaul", "run", "--config", c.path(file))
		c.eventually("it says that the broker refuses", 10*time.Second, func() bool {
			s, _ := c.status(file)
			return c.says(file, "sessions failed", "not authori") && len(s.Uplinks) == 1 && strings.Contains(s.Uplinks[0].LastError, "not authori")
		})
		if c.quality(file, "near-COUNT") != "good" || c.history(file).Durable == 0 {
			t.Errorf("acquisition suffers: %+v", c.history(file))
		}
		if code := site.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestFullDiskAtStartIsSaidAndHeals(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	disk := c.path("card")
	c.mountSmall(disk, 3<<20) // no room for the head
	c.configure("skyhaul.toml", disk+"/edge", endpoint("plc", c.startCounting(""))+counting("near", "plc", 1))
	site := c.start("skyhaul", "run", "--config", c.path("skyhaul.toml"))
	c.eventually("it says that the disk is full, and reads on", 10*time.Second, func() bool {
		return c.says("skyhaul.toml", "The buffer does not take readings", "no space left") && c.quality("skyhaul.toml", "near-COUNT") == "good"
	})
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	c.eventually("what was read meanwhile is durable", 10*time.Second, func() bool {
		h := c.history("skyhaul.toml")
		return h.Durable > 2 && h.Gaps == 0 && !c.says("skyhaul.toml", "does not take readings")
	})
	if code := site.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// mountSmall mounts a file system of its own, of size bytes.
func (c *chain) mountSmall(dir string, size int) {
	c.t.Helper()
	needRoot(c.t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") != "true" {
		c.t.Skip("may not mount a file system")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

func TestGarbageOnALineIsNeverAReading(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.garbage(c.path("ttyS7"))
	c.configure("skyhaul.toml", c.path("edge"), serialLine("rs485", c.path("ttyS7"))+counting("far", "rs485", 11)+
		endpoint("plc", c.startCounting(""))+counting("near", "plc", 1))
	site := c.startSite()
	c.eventually("errors are counted and told", 10*time.Second, func() bool {
		s, _ := c.status("skyhaul.toml")
		return len(s.Lines) == 2 && s.Lines[0].Errors >= 5 && c.says("skyhaul.toml", "On line rs485 3 of 3 points are bad: comm")
	})
	if code := site.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	rows := c.buffered()
	for _, tag := range []string{"far-COUNT", "far-TWICE", "far-HALF"} {
		if n := len(good(from(rows, tag))); n > 0 || len(from(rows, tag)) == 0 {
			t.Errorf("%d of %d readings of %s are good", n, len(from(rows, tag)), tag)
		}
	}
	checkCounting(t, rows, "near")
	near := from(rows, "near-COUNT")
	if bad := len(near) - len(good(near)); bad > len(near)/20 { // this machine may be busy
		t.Errorf("%d of %d readings of the other line are bad", bad, len(near))
	}
	c.onGrid(near, 100)
}

// garbage makes a pty by that name that sends bytes without end or sense.
func (c *chain) garbage(name string) {
	c.t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.Symlink(near.Name(), name); err != nil {
		c.t.Fatal(err)
	}
	r := rand.NewChaCha8([32]byte{1})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64)
		for {
			r.Read(b)
			far.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			far.Write(b)
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	c.t.Cleanup(func() {
		close(stop)
		<-done
		far.Close()
		near.Close()
	})
}

// onGrid checks that scans came on their grid of every ms: nearly all of the
// places have one.
func (c *chain) onGrid(rows []row, every int) {
	c.t.Helper()
	first, last := rows[0].boottime(c.t), rows[len(rows)-1].boottime(c.t)
	places := (last-first)/every + 1
	if len(rows) < places*9/10 {
		c.t.Errorf("%d scans on %d places of the grid", len(rows), places)
	}
}

func (r row) boottime(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(r["boottime_ms"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
