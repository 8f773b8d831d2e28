package gateway

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
	"skyhaul/modbus/listen"
)

func TestWhatIsSparedNeverReachesTheLine(t *testing.T) {
	const holding, input = modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters
	readWrite := func(from, quantity uint16) modbus.PDU {
		return modbus.PDU{23, byte(from >> 8), byte(from), 0, byte(quantity), 0, 0, 0, 1, 2, 0, 0}
	}
	line := failing{err: bus.ErrNotConnected, n: new(atomic.Int32)}
	p := open(t, modbus.Units{}, line115200, Options{
		Line:      line,
		Memory:    listen.NewMemory(time.Hour, nil),
		Avoid:     map[modbus.UnitID][]bus.Range{1: {{Function: holding, Addr: 100, Quantity: 10}}},
		Exclusive: map[modbus.UnitID][]bus.Range{1: {{Function: holding, Addr: 200, Quantity: 4}}},
	}, DoorOptions{
		Units:  map[modbus.UnitID]modbus.UnitID{1: 1, 2: 2, 255: 1},
		MaxAge: time.Hour,
		Writes: []Write{{Unit: 1, Last: 65535, Functions: []modbus.FunctionCode{6, 23}}},
	})
	c := p.client(t)
	const sent = modbus.GatewayPath // the line's answer here
	for _, tt := range []struct {
		name string
		unit modbus.UnitID
		req  modbus.PDU
		want modbus.Exception
	}{
		{"all of it", 1, read(t, holding, 100, 10), modbus.IllegalDataAddress},
		{"its last", 1, read(t, holding, 109, 1), modbus.IllegalDataAddress},
		{"across", 1, read(t, holding, 50, 120), modbus.IllegalDataAddress},
		{"by another id", 255, read(t, holding, 99, 2), modbus.IllegalDataAddress},
		{"before it", 1, read(t, holding, 90, 10), sent},
		{"behind it", 1, read(t, holding, 110, 10), sent},
		{"another table", 1, read(t, input, 100, 10), sent},
		{"another unit", 2, read(t, holding, 100, 10), sent},
		{"a write", 1, modbus.WriteRegister(100, 1), sent},
		{"function 23", 1, readWrite(109, 1), modbus.IllegalDataAddress},
		{"function 23 beside", 1, readWrite(110, 1), sent},
		{"function 24", 1, modbus.PDU{24, 0, 80}, modbus.IllegalDataAddress},
		{"function 24 beside", 1, modbus.PDU{24, 0, 10}, sent},
		{"part of an exclusive one", 1, read(t, holding, 200, 2), modbus.IllegalDataAddress},
		{"more than it", 1, read(t, holding, 199, 6), modbus.IllegalDataAddress},
		{"by function 23", 1, readWrite(200, 4), modbus.IllegalDataAddress},
		{"whole", 1, read(t, holding, 200, 4), modbus.GatewayTarget},
	} {
		before := line.n.Load()
		if got := c.ask(tt.unit, tt.req); !slices.Equal(got, tt.want.Answer(tt.req)) {
			t.Errorf("%s: % X, want %v", tt.name, []byte(got), tt.want)
		}
		if reached := line.n.Load() > before; reached != (tt.want == sent) {
			t.Errorf("%s: reached the line: %v", tt.name, reached)
		}
	}
	req := read(t, holding, 200, 4)
	answer := modbus.PDU{3, 8, 0, 1, 0, 2, 0, 3, 0, 4}
	p.gateway.observed(1, req, modbus.Answer{PDU: answer, Sent: time.Now()}) // by the owner
	if got := c.ask(1, req); !slices.Equal(got, answer) {
		t.Errorf("what the owner read: % X", []byte(got))
	}
}
