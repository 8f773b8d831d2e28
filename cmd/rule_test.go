package cmd

import (
	"math"
	"strconv"
	"testing"
	"time"
)

// Register 40001 three times: every reading, those of a deadband, and summaries.
const ruled = `
[[unit]]
name = "meter"
on = "plc"
id = 1
addresses = "modicon"
[[unit.point]]
id = 1
tag = "WHOLE"
address = 40001
[[unit.point]]
id = 2
tag = "DEADBAND"
address = 40001
send = "deadband(5)"
[[unit.point]]
id = 3
tag = "DOOR"
address = 40003
type = "float32"
send = "swinging_door(2)"
[[unit.point]]
id = 4
tag = "SUMMARY"
address = 40001
send = "summary(1s: last)"
`

func TestWhatIsLeftOutIsToldWithinItsErrorAtTheCentre(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto")
	c := newChain(t)
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", c.startCounting(""))+ruled+c.uplinkTo("tcp://"+c.broker))
	scans := func(n int) func() bool { return func() bool { return len(good(from(c.buffered(), "WHOLE"))) >= n } }
	site := c.startSite()
	c.eventually("scans are in the buffer", 20*time.Second, scans(40))
	site.kill()
	site = c.startSite()
	c.eventually("more scans are in the buffer", 20*time.Second, scans(80))
	if code := site.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	kept := c.buffered()
	c.startBroker()
	c.startHub()
	c.startSite()
	c.eventually("all is stored", 30*time.Second, func() bool { return len(c.stored()) >= len(kept) })
	stored := c.stored()
	checkStored(t, kept, stored)

	whole, some := good(from(stored, "WHOLE")), good(from(stored, "DEADBAND"))
	if len(some) < 6 || len(some) > len(whole)/3 {
		t.Errorf("%d of %d readings are there with the deadband", len(some), len(whole))
	}
	for _, r := range whole {
		if told, ok := holds(some, r); !ok || math.Abs(told-number(t, r["value"])) > 5 {
			t.Errorf("%v is told of %v", told, r)
		}
	}
	if n := len(good(from(stored, "DOOR"))); n < 4 || n > len(whole)/3 {
		t.Errorf("%d of %d readings are there with the swinging door", n, len(whole))
	}
	if n := len(from(stored, "SUMMARY.last.1s")); n < 6 || len(from(stored, "SUMMARY")) > 0 {
		t.Errorf("%d summaries, %d readings of a point that is summed up", n, len(from(stored, "SUMMARY")))
	}
}

// holds returns the value of the last of rows that is not after r, in its epoch.
func holds(rows []row, r row) (value float64, ok bool) {
	at, _ := strconv.ParseInt(r["boottime_ms"], 10, 64)
	for _, o := range rows {
		was, _ := strconv.ParseInt(o["boottime_ms"], 10, 64)
		if o["epoch"] == r["epoch"] && was <= at {
			value, _ = strconv.ParseFloat(o["value"], 64)
			ok = true
		}
	}
	return value, ok
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
