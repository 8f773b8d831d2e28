package sim

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

func TestTimeTurnsIntoRows(t *testing.T) {
	second := time.Second
	tests := []struct {
		name string
		o    ReplayOptions
		rows map[time.Duration]int
	}{
		{"as recorded, the last row stays", ReplayOptions{}, map[time.Duration]int{
			0: 0, second - 1: 0, second: 1, 3500*time.Millisecond - 1: 1, 3500 * time.Millisecond: 2, 1 << 60: 2,
		}},
		{"as recorded, ten times as fast", ReplayOptions{Speed: 10}, map[time.Duration]int{second / 10: 1, 350 * time.Millisecond: 2}},
		{"as recorded, again and again", ReplayOptions{Loop: true}, map[time.Duration]int{
			6*second - 1: 2, 6 * second: 3, 7 * second: 4, 12 * second: 6,
		}},
		{"on a grid", ReplayOptions{Interval: 2 * second, Speed: 4}, map[time.Duration]int{
			second/2 - 1: 0, second / 2: 1, second: 2, 9 * second: 2,
		}},
		{"on a grid, again and again", ReplayOptions{Interval: 2 * second, Loop: true}, map[time.Duration]int{6 * second: 3, 21 * second: 10}},
	}
	for _, tt := range tests {
		r := NewReplay(station(t), tt.o)
		for elapsed, want := range tt.rows {
			if got := r.row(elapsed); got != want {
				t.Errorf("%s: row %d after %v, want %d", tt.name, got, elapsed, want)
			}
		}
	}
}

func TestReplayServesTheRowOfTheMomentAndTellsWhich(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served []Served
		r := NewReplay(station(t), ReplayOptions{Loop: true, Served: func(s Served) { served = append(served, s) }})
		ask := func(unit modbus.UnitID, addr uint16, quantity int) modbus.PDU {
			req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, addr, quantity)
			if err != nil {
				t.Fatal(err)
			}
			a, ok := r.Handle(unit, req)
			if !ok {
				return nil
			}
			return a
		}
		time.Sleep(time.Hour) // time begins with the first request
		start := time.Now()
		steps := []struct {
			after    time.Duration
			unit     modbus.UnitID
			addr     uint16
			quantity int
			want     modbus.PDU
			row      int
		}{
			{0, 1, 0, 4, modbus.PDU{3, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0x3E, 0x4F, 0x40, 0x5F}, 0},
			{time.Second, 1, 2, 2, modbus.PDU{3, 4, 0x7F, 0xC0, 0, 0}, 1},
			{0, 1, 1, 2, modbus.PDU{0x83, 4}, 1},
			{0, 2, 65535, 1, modbus.PDU{0x83, 4}, 1},
			{0, 1, 3, 2, modbus.PDU{0x83, 2}, 1},
			{3 * time.Second, 2, 65534, 2, modbus.PDU{3, 4, 0x7F, 0xFF, 0xFF, 0xFF}, 2},
			{2 * time.Second, 1, 0, 1, modbus.PDU{3, 2, 0xFF, 0xFF}, 3},
		}
		var want []Served
		for _, s := range steps {
			time.Sleep(s.after)
			got := ask(s.unit, s.addr, s.quantity)
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Errorf("unit %d, %d registers from %d, row %d: -want +got\n%s", s.unit, s.quantity, s.addr, s.row, diff)
			}
			req, _ := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, s.addr, s.quantity)
			want = append(want, Served{time.Now(), s.unit, s.row, req, s.want})
		}
		if a := ask(3, 0, 1); a != nil {
			t.Errorf("a unit that isn't in the map answers % X", a)
		}
		if diff := cmp.Diff(want, served); diff != "" || !served[0].At.Equal(start) {
			t.Errorf("trace: -want +got\n%s", diff)
		}
	})
}

func TestReplayIsReadOnly(t *testing.T) {
	a, ok := NewReplay(station(t), ReplayOptions{}).Handle(1, modbus.WriteRegister(0, 7))
	if want := (modbus.PDU{0x86, 1}); !ok || !cmp.Equal(a, want) {
		t.Errorf("got % X, want % X", a, want)
	}
}
