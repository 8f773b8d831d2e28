package cmd

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/sim"
)

// flowComputer keeps hourly records and a log, as those of Enron do.
type flowComputer struct {
	modbus.Bank
	hours int
}

const hoursAt, indexAt = 701, 7081

// record adds the record of the next hour and returns it.
func (f *flowComputer) record() string {
	f.hours++
	at := time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC).Add(time.Duration(f.hours) * time.Hour)
	rec := floats(float32(int(at.Month())*10000+at.Day()*100+26), float32(at.Hour()*10000), float32(f.hours)*1.5)
	f.Archives.SetRecord(hoursAt, uint16(f.hours), rec)
	newest := math.Float32bits(float32(f.hours))
	f.Set(modbus.HoldingRegisters, indexAt, uint16(newest>>16), uint16(newest))
	return strings.ToUpper(hex.EncodeToString(rec))
}

func floats(vs ...float32) (b []byte) {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

const harvested = `
[[unit]]
name = "flow"
on = "plc"
id = 1
dialect = "enron"
[[unit.archive]]
id = 900
name = "hourly"
address = 701
records = 400
index = 7081
interval = "1h"
every = "1s"
fields = ["date float32 mmddyy", "time float32 hhmmss", "volume float32 m3"]
[unit.log]
id = 901
every = "1s"
fields = ["what uint16", "register uint16", "time float32 hhmmss", "date float32 mmddyy", "old float32", "new float32"]
`

// A flow computer forgets what was acknowledged, so nothing may be that is not
// kept, whenever the site dies.
func TestArchivesArriveOnceThroughKills(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto")
	c := newChain(t)
	f := &flowComputer{}
	f.Dialect = modbus.Enron()
	want := map[string]int{}
	for range 100 {
		want[f.record()] = 1
	}
	logged := func(n int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(0x8000_0000|n)), floats(183707, 22726, float32(n), 2.5)...)
	}
	for n := range 20 {
		f.Archives.Log(modbus.EnronLog, logged(n))
		want[strings.ToUpper(hex.EncodeToString(logged(n)))] = 1
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go sim.ServeTCP(t.Context(), ln, f)
	c.configure("skyhaul.toml", c.path("edge"), endpoint("plc", ln.Addr().String())+harvested+c.uplinkTo("tcp://"+c.broker))
	for i := range 4 {
		site := c.startSite()
		time.Sleep(time.Duration(300+200*i) * time.Millisecond) // somewhere in the harvest
		site.kill()
	}
	c.startBroker()
	c.startHub()
	c.startSite()
	for range 5 {
		want[f.record()] = 1
	}
	arrived := func() map[string]int {
		out, err := c.output("skyhub", "export", "--db", c.path("hub.db"), "--site", "site-1", "--archives")
		if err != nil {
			return nil // no database yet
		}
		seen := map[string]map[string]bool{} // versions of a record
		for _, r := range c.rows(out) {
			if seen[r["record"]] == nil {
				seen[r["record"]] = map[string]bool{}
			}
			seen[r["record"]][r["archive"]+" "+r["index"]+" "+r["version"]] = true
		}
		got := map[string]int{}
		for rec, versions := range seen {
			got[rec] = len(versions)
		}
		return got
	}
	c.eventually("every record is at the centre", time.Minute, func() bool { return len(arrived()) >= len(want) })
	got := arrived()
	for rec, n := range want {
		if got[rec] != n {
			t.Errorf("record %s is %d times at the centre, want %d", rec, got[rec], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d records at the centre, want %d", len(got), len(want))
	}
	s, ok := c.status("skyhaul.toml")
	if !ok || len(s.Archives) != 2 || s.Archives[0].Error != "" {
		t.Errorf("status: %v", fmt.Sprintf("%+v", s.Archives))
	}
}
