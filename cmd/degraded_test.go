package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// unserved is a block of registers in the middle of the unit that it refuses.
const unserved = `[[unit.point]]
id = 21
tag = "NOT-1"
address = 40101
[[unit.point]]
id = 22
tag = "NOT-2"
address = 40102
type = "float32"
`

func TestStartsFromWhatIsThere(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	plc := c.startCounting("")
	device := c.path("ttyS7")
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", plc)+serialLine("rs485", device)+
		counting("near", "plc", 1)+unserved+counting("far", "rs485", 11)+c.uplinkTo("tcp://broker.invalid:1883"))
	began := time.Now()
	site := c.startSite()
	c.eventually("scans are durable at once", 10*time.Second, func() bool { return len(good(from(c.buffered(), "near-HALF"))) >= 3 })
	t.Logf("3 scans were durable after %v", time.Since(began).Round(10*time.Millisecond))
	c.eventually("it says which port is missing", 5*time.Second, func() bool {
		return c.says("skyhaul.toml", "Line rs485 is not connected", device, "no such port")
	})
	for tag, want := range map[string]string{
		"near-COUNT": "good", "near-TWICE": "good", "near-HALF": "good",
		"NOT-1": "bad: exception", "NOT-2": "bad: exception",
		"far-COUNT": "bad: not connected", "far-TWICE": "bad: not connected", "far-HALF": "bad: not connected",
	} {
		if got := c.quality("skyhaul.toml", tag); got != want {
			t.Errorf("%s is %s, want %s", tag, got, want)
		}
	}
	if !c.says("skyhaul.toml", "On line plc 2 of 5 points are bad: exception") {
		t.Error("it does not say that a block is refused")
	}
	c.eventually("it says that the broker can't be found", 40*time.Second, func() bool {
		return c.says("skyhaul.toml", "sessions failed", "broker.invalid")
	})

	c.startCounting(device)
	c.eventually("the port is used when it appears", 10*time.Second, func() bool {
		return c.quality("skyhaul.toml", "far-HALF") == "good"
	})
	if c.says("skyhaul.toml", "rs485") {
		t.Error("it still says that the line is not well")
	}
	if code := site.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkCounting(t, c.buffered(), "near")
	checkCounting(t, c.buffered(), "far")
}

// checkCounting checks that every good scan of a counting unit holds one row of
// its recording.
func checkCounting(t *testing.T, rows []row, unit string) {
	t.Helper()
	scans := map[string]map[string]string{}
	for _, r := range good(rows) {
		name := r["epoch"] + " " + r["seq"]
		if scans[name] == nil {
			scans[name] = map[string]string{}
		}
		scans[name][r["tag"]] = r["value"]
	}
	seen := 0
	for name, s := range scans {
		if s[unit+"-COUNT"] == "" {
			continue
		}
		seen++
		n, err := strconv.Atoi(s[unit+"-COUNT"])
		if err != nil {
			t.Fatal(err)
		}
		if s[unit+"-TWICE"] != fmt.Sprint(2*n) || s[unit+"-HALF"] != fmt.Sprint(float64(n)/2) {
			t.Errorf("scan %s of %s is of no row: %v", name, unit, s)
		}
	}
	if seen == 0 {
		t.Errorf("no good scan of %s", unit)
	}
}

func TestDamagedStateEndsNothing(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", c.startCounting(""))+counting("near", "plc", 1)+c.uplinkTo("tcp://"+c.broker))
	site := c.startSite()
	c.eventually("a session failed, which the ledger counts", 10*time.Second, func() bool { return c.says("skyhaul.toml", "sessions failed") })
	site.stop()
	kept := c.buffered()
	values, err := filepath.Glob(c.path("edge/state/*"))
	if err != nil || len(values) < 3 {
		t.Fatalf("%d files of small values, %v", len(values), err)
	}
	for _, name := range values {
		if err := os.WriteFile(name, []byte("rubbish from a dying card"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.startSite()
	// What was scanned can't be told apart before the schema is there again.
	c.eventually("it scans on", 10*time.Second, func() bool { return c.history("skyhaul.toml").Durable > uint64(len(kept)) })
	if !c.says("skyhaul.toml", "The kept value ledger was damaged") {
		t.Error("it does not say that the ledger begins anew")
	}
	checkStored(t, kept, c.buffered())
}

func TestUnreachableBrokerIsSaid(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	plc := c.startCounting("")
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", plc)+counting("near", "plc", 1)+c.uplinkTo("tcp://"+c.broker))
	c.startSite()
	c.eventually("it says that nobody is there", 10*time.Second, func() bool {
		return c.says("skyhaul.toml", "sessions failed", c.broker, "connection refused")
	})
	s, _ := c.status("skyhaul.toml")
	if len(s.Uplinks) != 1 || s.Uplinks[0].LastError == "" || s.Uplinks[0].Session != "waiting" && s.Uplinks[0].Session != "connecting" {
		t.Errorf("the uplink shows %+v", s.Uplinks)
	}
	if len(good(from(c.buffered(), "near-COUNT"))) == 0 {
		t.Error("nothing is in the buffer")
	}
}
