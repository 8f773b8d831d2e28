package cmd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// proving is the unit of testdata/rtu_server.py: every register follows from
// the count in the first, so a reading proves itself. The texts are raw values
// as exports write them.
func proving(count int) map[string]string {
	n := float64(count)
	want := map[string]string{
		"COUNT":  strconv.Itoa(count & 0xffff),
		"HASH":   strconv.Itoa(count * 7919 & 0xffff),
		"TENTH":  strconv.FormatFloat(float64(float32(n*0.1)), 'g', -1, 32),
		"MINUS":  strconv.Itoa(-count * 100003),
		"THIRD":  strconv.FormatFloat(n/3, 'g', -1, 64),
		"SIGNED": strconv.Itoa(int(int16(count * 10 & 0xffff))),
	}
	for k := 11; k < 40; k++ {
		want[fmt.Sprintf("K%d", k)] = strconv.Itoa(count * k & 0xffff)
	}
	return want
}

const provingTags = `id,tag,address,type,order
1,COUNT,40001,uint16,
2,HASH,40002,uint16,
3,TENTH,40003,float32,ABCD
4,MINUS,40005,int32,CDAB
5,THIRD,40007,float64,ABCDEFGH
6,SIGNED,40011,int16,
`

func provingList() string {
	var b strings.Builder
	b.WriteString(provingTags)
	for k := 11; k < 40; k++ {
		fmt.Fprintf(&b, "%d,K%d,%d,uint16,\n", k, k, 40001+k)
	}
	return b.String()
}

// startUnit starts pymodbus on a pty that socat makes.
func (c *chain) startUnit() {
	c.t.Helper()
	c.start("socat", "pty,raw,echo=0,link="+c.path("ttyM"), "pty,raw,echo=0,link="+c.path("ttyS"))
	c.eventually("socat makes its ptys", 5*time.Second, func() bool {
		_, err := c.output("test", "-e", c.path("ttyM"), "-a", "-e", c.path("ttyS"))
		return err == nil
	})
	c.start("/usr/bin/python3", "testdata/rtu_server.py", c.path("ttyS"), "115200")
}

// site writes the site's configuration: the proving unit each 100 ms.
func (c *chain) site() {
	c.write("tags.csv", provingList())
	c.write("skyhaul.toml", fmt.Sprintf(`[site]
id = "site-1"
[[line]]
name = "rs485"
device = %q
baud = 115200
[[unit]]
name = "proving"
on = "rs485"
id = 1
addresses = "modicon"
points = "tags.csv"
[[group]]
name = "fast"
interval = "100ms"
[buffer]
dir = %q
sync = "100ms"
[[uplink]]
broker = "tcp://%s"
hub_key_file = %q
max_age = "1s"
hole_after = "2s"
[status]
listen = ""
socket = %q
`, c.path("ttyM"), c.path("edge"), c.broker, c.path("hub-key"), c.path("status.sock")))
}

// checkProving checks that every scan that was read is one that the unit served,
// and returns how many were.
func (c *chain) checkProving(rows []row) (good int) {
	c.t.Helper()
	scans := map[string]map[string]string{}
	for _, r := range rows {
		if r["lane"] != "history" || r["quality"] != "good" {
			continue
		}
		name := r["epoch"] + " " + r["seq"]
		if scans[name] == nil {
			scans[name] = map[string]string{}
		}
		scans[name][r["tag"]] = r["raw"]
	}
	for name, got := range scans {
		count, err := strconv.Atoi(got["COUNT"])
		if err != nil || count > math.MaxUint16 {
			c.t.Fatalf("scan %s: count %q", name, got["COUNT"])
		}
		for tag, want := range proving(count) {
			if got[tag] != want {
				c.t.Errorf("scan %s at count %d: %s is %s, the unit served %s", name, count, tag, got[tag], want)
			}
		}
	}
	return len(scans)
}

// checkStored checks that every reading of want is stored exactly once, bit for
// bit with its quality.
func checkStored(t *testing.T, want, stored []row) {
	t.Helper()
	seen := map[string]row{}
	for _, r := range stored {
		if _, twice := seen[r.name()]; twice {
			t.Errorf("%s is stored twice", r.name())
		}
		seen[r.name()] = r
	}
	missing, differ := 0, 0
	for _, w := range want {
		s, ok := seen[w.name()]
		if !ok {
			missing++
			continue
		}
		for _, column := range []string{"bits", "raw", "value", "type", "quality", "reason", "boottime_ms", "boot", "tag"} {
			if differ < 10 && s[column] != w[column] {
				differ++
				t.Errorf("%s: %s is %q at the site and %q at the centre", w.name(), column, w[column], s[column])
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d readings are not stored", missing, len(want))
	}
}

func TestChainOfRealProcesses(t *testing.T) {
	need(t, "mosquitto", "socat", "/usr/bin/python3")
	c := newChain(t)
	c.site()
	c.startUnit()
	site := c.startSite()
	c.eventually("20 scans are in the buffer before there is any broker", 30*time.Second, func() bool {
		return c.checkProving(c.buffered()) >= 20
	})
	c.startBroker()
	c.startHub()
	c.eventually("100 scans are stored", 60*time.Second, func() bool { return len(c.stored()) >= 100*35 })
	if code := site.stop(); code != 0 {
		t.Errorf("skyhaul stopped with exit code %d", code)
	}
	kept := c.buffered()
	c.startSite()
	c.eventually("all that was in the buffer is stored", 60*time.Second, func() bool { return len(c.stored()) >= len(kept) })
	stored := c.stored()
	checkStored(t, kept, stored)
	if good := c.checkProving(stored); good < 100 {
		t.Errorf("only %d good scans are stored", good)
	}
	c.eventually("batches lean on each other", 60*time.Second, func() bool { return c.fleet().Links > 1 })
	if n := c.fleet().Unchained; n > 0 {
		t.Errorf("%d batches could not be read", n)
	}
	t.Logf("%d readings stored", len(stored))
}

// kills is how often the appliance is killed; then broker and hub are killed
// a tenth as often each.
const kills = 50

func TestKilledAtRandomMoments(t *testing.T) {
	need(t, "mosquitto", "socat", "/usr/bin/python3")
	const seed = 20261122
	r := rand.New(rand.NewPCG(seed, 0))
	moment := func(most time.Duration) { <-time.After(time.Duration(r.Int64N(int64(most)))) }
	c := newChain(t)
	c.site()
	c.startUnit()
	broker, hub := c.startBroker(), c.startHub()
	durable := map[string]row{}
	for range kills {
		site := c.startSite()
		moment(1500 * time.Millisecond)
		site.kill()
		for _, row := range c.buffered() {
			durable[row.name()] = row
		}
	}
	c.startSite()
	for range kills / 10 {
		moment(2 * time.Second)
		hub.kill()
		hub = c.startHub()
		moment(2 * time.Second)
		broker.kill()
		broker = c.startBroker()
	}
	for _, row := range c.buffered() {
		durable[row.name()] = row
	}
	want := make([]row, 0, len(durable))
	for _, row := range durable {
		want = append(want, row)
	}
	c.eventually("every reading that was durable is stored", 120*time.Second, func() bool {
		seen := map[string]bool{}
		for _, row := range c.stored() {
			seen[row.name()] = true
		}
		for name := range durable {
			if !seen[name] {
				return false
			}
		}
		return true
	})
	stored := c.stored()
	checkStored(t, want, stored)
	good := c.checkProving(stored)
	t.Logf("seed %d: %d kills of the appliance, %d of hub and broker each: %d durable readings, all stored once; %d good scans", seed, kills, kills/10, len(want), good)
	if good < kills {
		t.Errorf("only %d good scans: the test looked at too little", good)
	}
}
