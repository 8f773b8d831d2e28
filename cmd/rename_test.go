package cmd

import (
	"math"
	"strconv"
	"testing"
	"time"
)

// Two configurations of one unit. From the first to the second, point 1 gets
// another tag, range and unit, point 2 is deleted, and its tag is used again for
// another instrument, point 3, on another register.
const (
	before = `
[[unit]]
name = "meter"
on = "plc"
id = 1
addresses = "modicon"
[[unit.point]]
id = 1
tag = "PT-101"
address = 40001
scale = 0.5
unit = "bar"
[[unit.point]]
id = 2
tag = "TT-101"
address = 40002
unit = "degC"
`
	after = `
[[unit]]
name = "meter"
on = "plc"
id = 1
addresses = "modicon"
[[unit.point]]
id = 1
tag = "PT-201"
address = 40001
raw_low = 0
raw_high = 1000
eng_low = -100
eng_high = 3900
unit = "kPa"
[[unit.point]]
id = 3
tag = "TT-101"
address = 40003
type = "float32"
unit = "K"
`
)

// meaning is how one point is to be read in one of the two epochs.
type meaning struct {
	tag, unit, typ string
	scale, offset  float64
}

func TestHistoryKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto")
	c := newChain(t)
	plc := endpoint("plc", c.startCounting(""))
	scans := func(n int) func() bool { return func() bool { return len(good(c.buffered())) >= 2*n } }

	c.configure("skyhaul.toml", c.path("edge"), plc+before+c.uplinkTo("tcp://"+c.broker))
	site := c.startSite()
	c.eventually("scans are in the buffer", 10*time.Second, scans(10))
	if code := site.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	old := c.buffered()
	c.configure("skyhaul.toml", c.path("edge"), plc+after+c.uplinkTo("tcp://"+c.broker))
	site = c.startSite()
	c.eventually("scans are in the buffer", 10*time.Second, scans(len(good(old))/2+10))

	c.startBroker()
	c.startHub()
	c.eventually("the backlog is stored", 30*time.Second, func() bool { return len(c.stored()) >= len(old)+20 })
	if code := site.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	kept := c.buffered()
	c.startSite()
	c.eventually("all is stored", 30*time.Second, func() bool { return len(c.stored()) >= len(kept) })
	stored := c.stored()
	checkStored(t, kept, stored)

	epoch := old[0]["epoch"]
	was := map[string]meaning{"1": {"PT-101", "bar", "uint16", 0.5, 0}, "2": {"TT-101", "degC", "uint16", 1, 0}}
	is := map[string]meaning{"1": {"PT-201", "kPa", "uint16", 4, -100}, "3": {"TT-101", "K", "float32", 1, 0}}
	seen := map[string]int{}
	for _, r := range good(stored) {
		m, ok := is[r["point_id"]]
		if r["epoch"] == epoch {
			m, ok = was[r["point_id"]]
		}
		if !ok {
			t.Fatalf("point %s in epoch %s: %v", r["point_id"], r["epoch"], r)
		}
		seen[r["point_id"]+m.tag]++
		raw, _ := strconv.ParseFloat(r["raw"], 64)
		value, err := strconv.ParseFloat(r["value"], 64)
		if err != nil || math.Abs(value-(raw*m.scale+m.offset)) > 1e-9 || r["tag"] != m.tag || r["unit"] != m.unit || r["type"] != m.typ {
			t.Fatalf("want %+v, stored %v", m, r)
		}
	}
	for _, name := range []string{"1PT-101", "2TT-101", "1PT-201", "3TT-101"} {
		if seen[name] < 10 {
			t.Errorf("%d readings of %s: the test looked at too little", seen[name], name)
		}
	}
}
