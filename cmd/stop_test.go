package cmd

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopKeepsTheLastReadings has a sync interval that never comes round: all
// that is durable in the end was made so by the stop.
func TestStopKeepsTheLastReadings(t *testing.T) {
	t.Parallel()
	for _, how := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		c := newChain(t)
		c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", c.startCounting(""))+counting("near", "plc", 1))
		c.sync("skyhaul.toml", "60s")
		site := c.startSite()
		var scanned uint64
		c.eventually("20 scans are in memory", 10*time.Second, func() bool {
			scanned = c.history("skyhaul.toml").Appended
			return scanned >= 20
		})
		if rows := c.buffered(); len(rows) > 0 {
			t.Fatalf("%d readings were durable before the stop", len(rows))
		}
		stopped := time.Now()
		site.Process.Signal(how)
		<-site.done
		if code := site.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%v: exit code %d", how, code)
		}
		kept := c.buffered()
		checkCounting(t, kept, "near")
		rows := from(kept, "near-COUNT")
		if uint64(len(rows)) < scanned {
			t.Fatalf("%v: %d scans are durable of %d", how, len(rows), scanned)
		}
		last, err := time.Parse(time.RFC3339, rows[len(rows)-1]["time"])
		if err != nil {
			t.Fatal(err)
		}
		if missing := stopped.Sub(last); missing > time.Second {
			t.Errorf("%v: the last durable scan is %v older than the stop", how, missing)
		}
	}
}

// TestHangupEndsNothing: nor does the end of who reads the log, as when the
// journal restarts.
func TestHangupEndsNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", c.startCounting(""))+counting("near", "plc", 1))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := c.command("skyhaul", "run", "--config", c.path("skyhaul.toml"))
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	site := &process{Cmd: cmd, done: done}
	t.Cleanup(site.kill)
	c.eventually("it scans", 10*time.Second, func() bool { return c.quality("skyhaul.toml", "near-COUNT") == "good" })

	site.Process.Signal(syscall.SIGHUP)
	var log strings.Builder
	for line := make([]byte, 1024); !strings.Contains(log.String(), `msg="hangup ignored: a changed configuration needs a restart"`); {
		n, err := r.Read(line)
		if err != nil {
			t.Fatalf("%v; it said:\n%s", err, log.String())
		}
		log.Write(line[:n])
	}
	r.Close()
	site.Process.Signal(syscall.SIGHUP) // its line goes nowhere
	n := len(c.buffered())
	c.eventually("it goes on", 5*time.Second, func() bool { return len(c.buffered()) > n+9 })
	if code := site.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
