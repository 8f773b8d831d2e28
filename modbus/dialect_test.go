package modbus_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

func frame(s string) []byte { return must(hex.DecodeString(s)) }

// enron is a flow computer with the records of the published examples: one of
// an archive, a change by an operator and an alarm.
func enron() *modbus.Bank {
	b := modbus.Bank{Dialect: modbus.Enron()}
	b.Set(modbus.Coils, 1001, 1, 0)
	b.Set(modbus.HoldingRegisters, 3019, 8, 9)
	b.Set(modbus.HoldingRegisters, 5007, 0xAE41, 0x5652, 0, 7)
	b.Set(modbus.HoldingRegisters, 7001, 0x42C8, 0x8000, 0x4024, 0)
	b.Set(modbus.HoldingRegisters, 100, 1)
	b.Archives.SetRecord(701, 10, frame("47EAF800479C400043C8EEAD4400436B4287FFFF"))
	return &b
}

var (
	changed = frame("02011B5F483366C047EAF8004080000040200000")
	alarm   = frame("80001B5F483366C047EAF8004020000000000000")
)

// The six frames are published examples of the Enron protocol.
func TestEnronFrames(t *testing.T) {
	b := enron()
	exchanges := []struct {
		name      string
		log       []byte // a record that is logged before
		req       modbus.PDU
		ask, want []byte
	}{
		{
			"history", nil, must(modbus.Enron().ReadRequest(modbus.FuncReadHoldingRegisters, 701, 10)),
			frame("010302BD000A5451"), frame("01031447EAF800479C400043C8EEAD4400436B4287FFFFB61E"),
		},
		{
			"event", changed, must(modbus.Enron().ReadRequest(modbus.FuncReadHoldingRegisters, modbus.EnronLog, 1)),
			frame("01030020000185C0"), frame("01031402011B5F483366C047EAF80040800000402000002D08"),
		},
		{"acknowledgement", nil, modbus.WriteCoil(modbus.EnronLog, true), frame("01050020FF008DF0"), frame("01050020FF008DF0")},
		{
			"alarm", alarm, must(modbus.Enron().ReadRequest(modbus.FuncReadHoldingRegisters, modbus.EnronLog, 1)),
			frame("01030020000185C0"), frame("01031480001B5F483366C047EAF8004020000000000000C2C8"),
		},
		{"acknowledgement", nil, modbus.WriteCoil(modbus.EnronLog, true), frame("01050020FF008DF0"), frame("01050020FF008DF0")},
	}
	synctest.Test(t, func(t *testing.T) {
		for _, x := range exchanges {
			if x.log != nil {
				b.Archives.Log(modbus.EnronLog, x.log)
			}
			if got, _ := converse(t, modbus.RTU, b, piece{0, x.ask}); !bytes.Equal(got, x.want) {
				t.Errorf("%s: the unit answers % X, want % X", x.name, got, x.want)
			}
			c, heard := attach(t, modbus.RTU, func(_ int, req, resp []byte) []piece {
				if !bytes.Equal(req, x.ask) {
					return promptly(resp) // of a separator
				}
				return promptly(x.want)
			})
			c.Speak(1, modbus.Enron())
			if a := mustDo(t, c, x.req); !bytes.Equal(a.PDU, pduOf(x.want)) {
				t.Errorf("%s: the client takes % X", x.name, []byte(a.PDU))
			}
			if last := heard.requests(); !bytes.Equal(last[len(last)-1], pduOf(x.ask)) {
				t.Errorf("%s: the client asks % X", x.name, last)
			}
		}
	})
}

func TestRecordsOfTheExamplesMeanWhatIsSaid(t *testing.T) {
	record := must(modbus.Registers(modbus.PDU(pduOf(frame("01031447EAF800479C400043C8EEAD4400436B4287FFFFB61E")))))
	var values []float32
	for pair := range slices.Chunk(record, 2) {
		raw := must(modbus.Format{Order: order(t, "ABCD")}.Decode(pair))
		values = append(values, math.Float32frombits(uint32(raw)))
	}
	if want := []float32{120304, 80000, 401.86465, 513.0534, 67.99999}; !slices.Equal(values, want) {
		t.Errorf("got %v, want %v", values, want)
	}
}

func TestItemsOfADialectGoThroughEveryFraming(t *testing.T) {
	d := modbus.Enron()
	get := func(addr uint16, quantity int) modbus.PDU {
		return must(d.ReadRequest(modbus.FuncReadHoldingRegisters, addr, quantity))
	}
	tests := []struct{ req, want modbus.PDU }{
		{get(5007, 2), modbus.PDU{3, 8, 0xAE, 0x41, 0x56, 0x52, 0, 0, 0, 7}},
		{get(7001, 1), modbus.PDU{3, 4, 0x42, 0xC8, 0x80, 0}},
		{get(3019, 2), modbus.PDU{3, 4, 0, 8, 0, 9}},
		{get(100, 1), modbus.PDU{3, 2, 0, 1}},
		{must(d.WriteItem(7002, 0x3F80, 1)), modbus.PDU{6, 0x1B, 0x5A, 0x3F, 0x80, 0, 1}},
		{must(d.WriteItem(3019, 10)), modbus.PDU{6, 0x0B, 0xCB, 0, 10}},
		{must(d.WriteItems(5007, []uint16{1, 2, 3, 4})), modbus.PDU{16, 0x13, 0x8F, 0, 2}},
		{get(5007, 2), modbus.PDU{3, 8, 0, 1, 0, 2, 0, 3, 0, 4}},
		{get(7001, 2), modbus.PDU{3, 8, 0x42, 0xC8, 0x80, 0, 0x3F, 0x80, 0, 1}},
		{read(t, modbus.FuncReadCoils, 1001, 2), modbus.PDU{1, 1, 1}},
		{get(modbus.EnronLog, 1), modbus.PDU{3, 0}},
	}
	for _, f := range everyFraming {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := enron()
				b.Archives.Log(modbus.EnronLog)
				c := modbus.NewClient(serve(t, f, b), f, slow)
				c.Speak(1, d)
				for _, tt := range tests {
					if a, err := do(t, c, tt.req); err != nil || !bytes.Equal(a.PDU, tt.want) {
						t.Errorf("% X: % X, %v, want % X", []byte(tt.req), []byte(a.PDU), err, []byte(tt.want))
					}
				}
			})
		})
	}
}

func TestRequestsStayInARangeOfTheDialect(t *testing.T) {
	d := append(modbus.Enron(), modbus.Items{First: 9001, Last: 9999, Bytes: 8})
	tests := []struct {
		fc       modbus.FunctionCode
		addr     uint16
		quantity int
		ok       bool
	}{
		{modbus.FuncReadHoldingRegisters, 5001, 62, true},
		{modbus.FuncReadHoldingRegisters, 5001, 63, false},
		{modbus.FuncReadInputRegisters, 7001, 62, true},
		{modbus.FuncReadInputRegisters, 7001, 63, false},
		{modbus.FuncReadHoldingRegisters, 3001, 125, true},
		{modbus.FuncReadHoldingRegisters, 3001, 126, false},
		{modbus.FuncReadHoldingRegisters, 9001, 31, true},
		{modbus.FuncReadHoldingRegisters, 9001, 32, false},
		{modbus.FuncReadHoldingRegisters, 5999, 1, true},
		{modbus.FuncReadHoldingRegisters, 5999, 2, false},
		{modbus.FuncReadHoldingRegisters, 4999, 2, true},
		{modbus.FuncReadHoldingRegisters, 4999, 3, false},
		{modbus.FuncReadHoldingRegisters, 6000, 125, true},
		{modbus.FuncReadHoldingRegisters, 10000, 125, true},
		{modbus.FuncReadHoldingRegisters, 701, 0, true},
		{modbus.FuncReadHoldingRegisters, 799, 65535, true},
		{modbus.FuncReadHoldingRegisters, 799, 65536, false},
		{modbus.FuncReadHoldingRegisters, 799, -1, false},
		{modbus.FuncReadCoils, 1001, 2000, true},
		{modbus.FuncReadCoils, 7001, 2000, true},
	}
	for _, tt := range tests {
		if _, err := d.ReadRequest(tt.fc, tt.addr, tt.quantity); (err == nil) != tt.ok {
			t.Errorf("function %d, %d items from %d: %v", tt.fc, tt.quantity, tt.addr, err)
		}
	}
	for addr, want := range map[uint16]string{
		5001: "function 3: quantity 100 is not in 1 to 62",
		3950: "function 3: 100 items from address 3950 on are not all in 0 to 65535 and of one range",
	} {
		if _, err := d.ReadRequest(modbus.FuncReadHoldingRegisters, addr, 100); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	writes := []struct {
		addr  uint16
		words int
		ok    bool
	}{
		{5001, 2, true},
		{5001, 1, false},
		{5001, 3, false},
		{5001, 0, false},
		{5001, 122, true},
		{5001, 124, false},
		{5999, 2, true},
		{5999, 4, false},
		{3001, 123, true},
		{701, 2, false},
		{9001, 4, true},
		{9001, 120, true},
		{9001, 124, false},
	}
	for _, tt := range writes {
		if _, err := d.WriteItems(tt.addr, make([]uint16, tt.words)); (err == nil) != tt.ok {
			t.Errorf("%d words from %d: %v", tt.words, tt.addr, err)
		}
	}
	for addr, words := range map[uint16]int{3001: 2, 5001: 1, 701: 1, 0: 0} {
		if _, err := d.WriteItem(addr, make([]uint16, words)...); err == nil {
			t.Errorf("%d words are written to %d", words, addr)
		}
	}
}

func TestItemsOfEnron(t *testing.T) {
	d := modbus.Enron()
	for addr, want := range map[uint16]int{
		31: 0, 32: -1, 33: 0, 700: 0, 701: -1, 799: -1, 800: 0, 1001: 0, 3000: 0, 3001: 2, 3999: 2, 4000: 0,
		5000: 0, 5001: 4, 5999: 4, 6000: 0, 7000: 0, 7001: 4, 7999: 4, 8000: 0, 65535: 0,
	} {
		for _, fc := range []modbus.FunctionCode{modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters, modbus.FuncWriteRegister, modbus.FuncWriteRegisters} {
			if got := d.ItemBytes(fc, addr); got != want {
				t.Errorf("function %d, %d: %d bytes, want %d", fc, addr, got, want)
			}
		}
		for _, fc := range []modbus.FunctionCode{modbus.FuncReadCoils, modbus.FuncReadDiscreteInputs, modbus.FuncWriteCoil, modbus.FuncWriteCoils} {
			if got := d.ItemBytes(fc, addr); got != 0 {
				t.Errorf("function %d, %d: %d bytes, want 0", fc, addr, got)
			}
		}
	}
}

func TestUnitDeclinesWhatIsNotOfItsDialect(t *testing.T) {
	b := enron()
	tests := map[string]struct {
		req  modbus.PDU
		want modbus.Exception
	}{
		"short value":      {modbus.WriteRegister(5007, 1), modbus.IllegalDataValue},
		"long value":       {modbus.PDU{6, 0, 100, 0, 0, 0, 1}, modbus.IllegalDataValue},
		"registers":        {must(modbus.WriteRegisters(5007, []uint16{1, 2})), modbus.IllegalDataValue},
		"into a range":     {read(t, modbus.FuncReadHoldingRegisters, 5000, 2), modbus.IllegalDataAddress},
		"write an archive": {modbus.WriteRegister(701, 1), modbus.IllegalDataAddress},
		"missing record":   {read(t, modbus.FuncReadHoldingRegisters, 701, 11), modbus.IllegalDataAddress},
		"missing archive":  {read(t, modbus.FuncReadHoldingRegisters, 702, 10), modbus.IllegalDataAddress},
		"no log":           {read(t, modbus.FuncReadHoldingRegisters, 32, 1), modbus.IllegalDataAddress},
		"mask":             {modbus.MaskRegister(5007, 0, 0), modbus.IllegalDataAddress},
		"read and write":   {must(modbus.ReadWriteRegisters(5007, 1, 100, []uint16{1})), modbus.IllegalDataAddress},
		"write and read":   {must(modbus.ReadWriteRegisters(100, 1, 5007, []uint16{1})), modbus.IllegalDataAddress},
	}
	for name, tt := range tests {
		if got, _ := b.Handle(1, tt.req); !bytes.Equal(got, tt.want.Answer(tt.req)) {
			t.Errorf("%s: % X is answered with % X, want %v", name, []byte(tt.req), []byte(got), tt.want)
		}
	}
}

func TestLogIsReadUntilAcknowledged(t *testing.T) {
	b := enron()
	get := must(b.Dialect.ReadRequest(modbus.FuncReadHoldingRegisters, modbus.EnronLog, 1))
	var records [][]byte
	for i := range byte(30) {
		records = append(records, bytes.Repeat([]byte{i}, 20))
	}
	b.Archives.Log(modbus.EnronLog, records...)
	for _, part := range [][][]byte{records[:12], records[12:24], records[24:], nil} {
		for range 2 { // it stays until acknowledged
			resp, _ := b.Handle(1, get)
			if diff := cmp.Diff(slices.Concat(part...), []byte(resp[2:])); diff != "" && len(part) > 0 || int(resp[1]) != 20*len(part) {
				t.Fatal(diff)
			}
		}
		for range 2 { // the second time there is nothing to acknowledge
			b.Handle(1, modbus.WriteCoil(modbus.EnronLog, true))
		}
	}
}

func TestUnitsSpeakTheirOwnDialects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var plain modbus.Bank
		plain.Set(modbus.HoldingRegisters, 5007, 9)
		c := modbus.NewClient(serve(t, modbus.RTU, modbus.Units{1: enron(), 2: &plain}), modbus.RTU, slow)
		c.Speak(1, modbus.Enron())
		req := read(t, modbus.FuncReadHoldingRegisters, 5007, 1)
		for unit, size := range map[modbus.UnitID]int{1: 6, 2: 4} {
			if a, err := c.Do(t.Context(), unit, req, timeout); err != nil || len(a.PDU) != size {
				t.Errorf("unit %d: % X, %v", unit, []byte(a.PDU), err)
			}
		}
	})
}

// An item that is alone in its range has none beside it to separate with.
func TestLoneItemIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(n int, req, resp []byte) []piece {
			switch {
			case n == 1:
				return nil
			case req[1] == 4:
				return promptly(seal([]byte{1, 0x84, 1}))
			}
			return promptly(seal([]byte{1, 3, 4, 0, 0, 0, 1}))
		})
		d := modbus.Dialect{{First: 9000, Last: 9000, Bytes: 4}}
		c.Speak(1, d)
		req := must(d.ReadRequest(modbus.FuncReadHoldingRegisters, 9000, 1))
		mustFail(t, c, req, modbus.ErrTimeout)
		mustDo(t, c, req)
		want := []modbus.PDU{req, {4, 0x23, 0x28, 0, 1}, req}
		if diff := cmp.Diff(want, heard.requests()); diff != "" {
			t.Error(diff)
		}
	})
}
