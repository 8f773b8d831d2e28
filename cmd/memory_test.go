package cmd

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

var memory = flag.Duration("memory", 0, "how long TestMemory scans 100 points at 1 Hz; 0: a few seconds at 20 Hz")

// What the appliance may take, in kB: all of it, and what is not a file's.
const (
	mostRSS  = 64 << 10
	mostAnon = 40 << 10
)

// TestMemory measures what `skyhaul run` takes with 100 points, the window
// closed and the page asked for each second:
//
//	go test ./cmd -run TestMemory -memory 60s -v
//
// Without -memory it scans twenty times as often, so that a few seconds hold
// what minutes do.
func TestMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs /proc")
	}
	c := newChain(t)
	lasts, interval := *memory, "1s"
	if lasts == 0 {
		lasts, interval = 6*time.Second, "50ms"
	}
	c.hundredPoints(interval)
	site := c.startSite()
	c.eventually("it scans", 10*time.Second, func() bool { return c.quality("skyhaul.toml", "P99") == "good" })

	peak := map[string]int{}
	var last map[string]int
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); <-ticker.C {
		c.status("skyhaul.toml")
		last = site.memory(t)
		for name, kB := range last {
			peak[name] = max(peak[name], kB)
		}
		if *memory > 0 {
			t.Logf("VmRSS %d kB, RssAnon %d kB, RssFile %d kB", last["VmRSS"], last["RssAnon"], last["RssFile"])
		}
	}
	records := c.history("skyhaul.toml").Appended
	t.Logf("%d scans of 100 points: VmRSS %d kB, RssAnon %d kB, RssFile %d kB; at most %d, %d and %d kB",
		records, last["VmRSS"], last["RssAnon"], last["RssFile"], peak["VmRSS"], peak["RssAnon"], peak["RssFile"])
	if peak["VmRSS"] > mostRSS || peak["RssAnon"] > mostAnon {
		t.Errorf("VmRSS may be %d kB, RssAnon %d kB", mostRSS, mostAnon)
	}
	// A compaction of a large buffer, for which this test is too short, makes
	// garbage of tens of megabytes.
	if limit := c.metric("go_gc_gomemlimit_bytes"); limit > mostAnon<<10 {
		t.Errorf("garbage may grow until %.0f MB are in use", limit/1e6)
	}
	if records == 0 || peak["RssAnon"] == 0 {
		t.Error("the test looked at nothing")
	}
}

// metric asks the daemon for one of its metrics.
func (c *chain) metric(name string) float64 {
	c.t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.path("status.sock"))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://skyhaul/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return v
		}
	}
	c.t.Fatalf("no metric %s", name)
	return 0
}

// hundredPoints serves and configures 100 points, half of them uint16 and half
// float32, whose numbers move as measurements do, behind a window that is closed.
func (c *chain) hundredPoints(interval string) {
	c.t.Helper()
	var entries, tags []string
	points := "id,tag,address,type\n"
	for i := range 100 {
		typ, registers := "uint16", 1
		if i%2 == 1 {
			typ, registers = "float32", 2
		}
		tags = append(tags, fmt.Sprintf("P%d", i))
		entries = append(entries, fmt.Sprintf(`{"tag": "P%d", "address": %d, "registers": %d, "type": %q}`, i, 40001+2*i, registers, typ))
		points += fmt.Sprintf("%d,P%d,%d,%s\n", i+1, i, 40001+2*i, typ)
	}
	r := rand.New(rand.NewPCG(1, 0))
	rows := "ts_ms," + strings.Join(tags, ",") + "\n"
	for n := range 600 {
		rows += strconv.Itoa(50 * n)
		for i := range 100 {
			level := 1000 + 10*i + int(20*r.NormFloat64())
			if i%2 == 1 {
				rows += fmt.Sprintf(",%.2f", float64(level)/7)
			} else {
				rows += fmt.Sprintf(",%d", level)
			}
		}
		rows += "\n"
	}
	c.write("hundred.json", "["+strings.Join(entries, ",\n")+"]")
	c.write("hundred.csv", rows)
	c.write("points.csv", points)
	addr := c.serve("sim", "--map", c.path("hundred.json"), "--replay", c.path("hundred.csv"), "--loop")
	c.write("skyhaul.toml", fmt.Sprintf(`[site]
id = "site-1"
[[unit]]
name = "station"
on = "plc"
id = 1
addresses = "modicon"
points = "points.csv"
[[group]]
name = "fast"
interval = %q
[buffer]
dir = "edge"
[[uplink]]
broker = "tcp://127.0.0.1:1"
hub_key_file = "hub-key"
[uplink.window]
cron = "0 0 29 2 *"
duration = "1s"
[status]
socket = "status.sock"
listen = ""
`, interval)+endpoint("plc", addr))
}

// memory returns what a process takes, in kB.
func (p *process) memory(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "kB" {
			m[strings.TrimSuffix(f[0], ":")], _ = strconv.Atoi(f[1])
		}
	}
	return m
}
