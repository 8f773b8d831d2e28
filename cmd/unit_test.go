package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"skyhaul/edge/status"
)

// A counting unit, served by `skyhaul sim`: register 40001 counts rows, and the
// others follow from it: TWICE and HALF (a float32 at 40003).
const (
	countingMap = `[
{"tag": "COUNT", "address": 40001, "registers": 1, "type": "uint16"},
{"tag": "TWICE", "address": 40002, "registers": 1, "type": "uint16"},
{"tag": "HALF", "address": 40003, "registers": 2, "type": "float32"}
]`
	countingRows = 500
)

// startCounting serves a counting unit that counts on every 200 ms, and returns
// its address when it answers. Where pty names one, it is served there instead.
func (c *chain) startCounting(pty string) (addr string) {
	c.t.Helper()
	var rec strings.Builder
	rec.WriteString("ts_ms,COUNT,TWICE,HALF\n")
	for n := range countingRows {
		fmt.Fprintf(&rec, "%d,%d,%d,%v\n", 200*n, n, 2*n, float64(n)/2)
	}
	c.write("counting.csv", rec.String())
	c.write("counting.json", countingMap)
	recording := []string{"sim", "--map", c.path("counting.json"), "--replay", c.path("counting.csv")}
	if pty != "" {
		c.start("skyhaul", append(recording, "--pty", pty, "--baud", "115200")...)
		c.eventually("the pty is there", 5*time.Second, func() bool { _, err := os.Lstat(pty); return err == nil })
		return ""
	}
	return c.serve(recording...)
}

// serve starts `skyhaul sim` with these arguments, and returns its address when
// it listens.
func (c *chain) serve(args ...string) (addr string) {
	c.t.Helper()
	addr = freePort(c.t)
	c.start("skyhaul", append(args, "--tcp", addr)...)
	c.eventually("the unit listens", 5*time.Second, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return addr
}

// configure writes a configuration: what every site of these tests has, and
// what the test adds. The folder of state is named, as some tests have two.
func (c *chain) configure(file, state, more string) {
	c.t.Helper()
	c.write(file, fmt.Sprintf(`[site]
id = "site-1"
[[group]]
name = "fast"
interval = "100ms"
[buffer]
dir = %q
sync = "100ms"
[status]
listen = ""
socket = %q
`, state, state+".sock")+more)
}

// sync changes how often readings become durable.
func (c *chain) sync(file, interval string) {
	c.t.Helper()
	text, err := os.ReadFile(c.path(file))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(file, strings.Replace(string(text), `sync = "100ms"`, fmt.Sprintf("sync = %q", interval), 1))
}

// counting is a unit with the points of a counting one, numbered from id on.
func counting(name, on string, id int) string {
	return fmt.Sprintf(`
[[unit]]
name = %[1]q
on = %[2]q
id = 1
addresses = "modicon"
[[unit.point]]
id = %[3]d
tag = "%[1]s-COUNT"
address = 40001
[[unit.point]]
id = %[4]d
tag = "%[1]s-TWICE"
address = 40002
[[unit.point]]
id = %[5]d
tag = "%[1]s-HALF"
address = 40003
type = "float32"
`, name, on, id, id+1, id+2)
}

func endpoint(name, addr string) string {
	return fmt.Sprintf("[[endpoint]]\nname = %q\naddress = %q\ntimeout = \"300ms\"\n", name, addr)
}

func serialLine(name, device string) string {
	return fmt.Sprintf("[[line]]\nname = %q\ndevice = %q\nbaud = 115200\ntimeout = \"200ms\"\n", name, device)
}

func (c *chain) uplinkTo(url string) string {
	return fmt.Sprintf("[[uplink]]\nbroker = %q\nhub_key_file = \"hub-key\"\nmax_age = \"1s\"\nhole_after = \"2s\"\n", url)
}

// status asks the daemon of a configuration; ok is false where none answers.
func (c *chain) status(file string) (s status.Snapshot, ok bool) {
	c.t.Helper()
	out, err := c.output("skyhaul", "status", "--json", "--config", c.path(file))
	if err != nil {
		return s, false
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		c.t.Fatal(err)
	}
	return s, true
}

// history returns the daemon's count of its lane.
func (c *chain) history(file string) status.Lane {
	c.t.Helper()
	s, _ := c.status(file)
	for _, l := range s.Lanes {
		if l.Name == "history" {
			return l
		}
	}
	return status.Lane{}
}

// says reports whether one of the daemon's sentences of what is not well holds
// all the words.
func (c *chain) says(file string, words ...string) bool {
	c.t.Helper()
	s, _ := c.status(file)
	return slices.ContainsFunc(s.Degraded, func(sentence string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(sentence, w) })
	})
}

// quality returns quality and reason of a point as the daemon shows it.
func (c *chain) quality(file, tag string) string {
	c.t.Helper()
	s, _ := c.status(file)
	for _, p := range s.Points {
		if p.Tag == tag {
			return strings.TrimSuffix(p.Quality+": "+p.Reason, ": ")
		}
	}
	return "unknown point"
}

// refused runs skyhaul, checks its exit code and returns the one line it says.
func (c *chain) refused(code int, args ...string) string {
	c.t.Helper()
	out, err := c.command("skyhaul", args...).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != code {
		c.t.Errorf("skyhaul %s: %v, want exit code %d; it said %s", strings.Join(args, " "), err, code, out)
	}
	if strings.Count(string(out), "\n") != 1 {
		c.t.Errorf("skyhaul %s said more or less than a line:\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

// from returns the rows of a tag.
func from(rows []row, tag string) (some []row) {
	for _, r := range rows {
		if r["tag"] == tag {
			some = append(some, r)
		}
	}
	return some
}

// good returns the rows of good quality.
func good(rows []row) (some []row) {
	for _, r := range rows {
		if r["quality"] == "good" {
			some = append(some, r)
		}
	}
	return some
}

// needRoot skips a test that needs root at a desk, and fails it in CI.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}
