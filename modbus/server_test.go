package modbus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

var everyFraming = []modbus.Framing{modbus.RTU, modbus.TCP, modbus.RTUOverTCP, modbus.ASCII, modbus.ASCIIOverTCP}

// station is unit 17 with three registers at 10 and two coils at 5, and unit 18
// with one register.
func station() (modbus.Units, *modbus.Bank) {
	var a, b modbus.Bank
	a.Set(modbus.HoldingRegisters, 10, 1, 2, 3)
	a.Set(modbus.Coils, 5, 1, 0)
	a.Set(modbus.InputRegisters, 65535, 0xABCD)
	a.Set(modbus.DiscreteInputs, 0, 1)
	b.Set(modbus.HoldingRegisters, 10, 9)
	return modbus.Units{17: &a, 18: &b}, &a
}

// converse sends pieces to a station and returns what comes back until the line
// has been silent for a second, and after how long it began.
func converse(t *testing.T, f modbus.Framing, h modbus.Handler, pieces ...piece) (back []byte, began time.Duration) {
	line := serve(t, f, h)
	for _, p := range pieces {
		time.Sleep(p.after)
		line.Write(p.bytes)
	}
	sent := time.Now()
	buf := make([]byte, 300)
	for {
		line.SetReadDeadline(time.Now().Add(time.Second))
		n, err := line.Read(buf)
		if err != nil {
			return back, began
		}
		if back == nil {
			began = time.Since(sent)
		}
		back = append(back, buf[:n]...)
	}
}

func TestServerFindsRequestsOnALine(t *testing.T) {
	ask := seal([]byte{17, 3, 0, 10, 0, 3})
	answer := seal([]byte{17, 3, 6, 0, 1, 0, 2, 0, 3})
	other := seal([]byte{18, 3, 0, 10, 0, 1})
	otherAnswer := seal([]byte{18, 3, 2, 0, 9})
	damaged := bytes.Clone(ask)
	damaged[5] ^= 1
	tests := []struct {
		name string
		send []piece
		want []byte
	}{
		{"whole", []piece{{0, ask}}, answer},
		{"in pieces", []piece{{0, ask[:1]}, {20 * time.Millisecond, ask[1:6]}, {20 * time.Millisecond, ask[6:]}}, answer},
		{"behind noise", []piece{{0, append([]byte{0, 17, 3, 0xFF}, ask...)}}, answer},
		{"behind a damaged one", []piece{{0, append(damaged, ask...)}}, answer},
		{"behind the begin of a long write", []piece{{0, append([]byte{17, 16, 0, 10, 0, 100, 200}, ask...)}}, answer},
		{"behind one of another unit and its answer", []piece{{0, slices.Concat(seal([]byte{99, 3, 0, 1, 0, 1}), seal([]byte{99, 3, 2, 0, 1}), ask)}}, answer},
		{"two at once", []piece{{0, append(bytes.Clone(ask), other...)}}, append(bytes.Clone(answer), otherAnswer...)},
		{"after one that was cut", []piece{{0, ask[:5]}, {200 * time.Millisecond, ask}}, answer},
		{"for an absent unit", []piece{{0, seal([]byte{99, 3, 0, 10, 0, 3})}}, nil},
		{"for a reserved unit", []piece{{0, seal([]byte{248, 3, 0, 10, 0, 3})}}, nil},
		{"damaged", []piece{{0, damaged}}, nil},
		{"unknown function", []piece{{0, seal([]byte{17, 43, 14, 1, 0})}}, seal([]byte{17, 0xAB, 1})},
		{"unknown function, broken", []piece{{0, []byte{17, 43, 14, 1, 0, 0, 0}}, {500 * time.Millisecond, ask}}, answer},
		{"missing address", []piece{{0, seal([]byte{17, 3, 0, 10, 0, 4})}}, seal([]byte{17, 0x83, 2})},
		{"quantity over the limit", []piece{{0, seal([]byte{17, 3, 0, 10, 0, 126})}}, seal([]byte{17, 0x83, 3})},
		{"last address", []piece{{0, seal([]byte{17, 4, 0xFF, 0xFF, 0, 1})}}, seal([]byte{17, 4, 2, 0xAB, 0xCD})},
		{"past the last address", []piece{{0, seal([]byte{17, 4, 0xFF, 0xFF, 0, 2})}}, seal([]byte{17, 0x84, 2})},
		{"coils", []piece{{0, seal([]byte{17, 1, 0, 5, 0, 2})}}, seal([]byte{17, 1, 1, 1})},
		{"discrete input", []piece{{0, seal([]byte{17, 2, 0, 0, 0, 1})}}, seal([]byte{17, 2, 1, 1})},
		{"write to what is not there", []piece{{0, seal([]byte{17, 6, 0, 99, 0, 1})}}, seal([]byte{17, 0x86, 2})},
	}
	for _, tt := range tests {
		for _, f := range []modbus.Framing{modbus.RTU, modbus.RTUOverTCP} {
			if f == modbus.RTUOverTCP && tt.name == "after one that was cut" {
				continue // a network may pause for so long
			}
			t.Run(tt.name+"/"+f.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					units, _ := station()
					if got, _ := converse(t, f, units, tt.send...); !bytes.Equal(got, tt.want) {
						t.Errorf("got % X, want % X", got, tt.want)
					}
				})
			})
		}
	}
}

func TestServerAnswers35CharactersAfterTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		units, _ := station()
		_, began := converse(t, modbus.RTU, units, piece{0, seal([]byte{17, 3, 0, 10, 0, 3})})
		if began != slow.T35() {
			t.Errorf("answered after %v, want %v", began, slow.T35())
		}
	})
}

// The handler here would answer for any unit.
func TestServerIsSilentForUnitsThatCanNotBe(t *testing.T) {
	var bank modbus.Bank
	bank.Set(modbus.HoldingRegisters, 10, 1)
	for unit, silent := range map[byte]bool{0: true, 1: false, 247: false, 248: true, 255: true} {
		synctest.Test(t, func(t *testing.T) {
			got, _ := converse(t, modbus.RTU, &bank, piece{0, seal([]byte{unit, 3, 0, 10, 0, 1})})
			if (got == nil) != silent {
				t.Errorf("unit %d: answered % X", unit, got)
			}
		})
	}
}

func TestBroadcastIsObeyedInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		units, bank := station()
		got, _ := converse(t, modbus.RTU, units, piece{0, seal([]byte{0, 6, 0, 10, 0, 42})})
		if got != nil {
			t.Errorf("answered % X", got)
		}
		if v, ok := bank.Get(modbus.HoldingRegisters, 10, 3); !ok || !slices.Equal(v, []uint16{42, 2, 3}) {
			t.Errorf("registers are %v", v)
		}
	})
}

// twoWire is the end of a line that hears itself.
type twoWire struct{ *end }

func (w twoWire) Write(p []byte) (int, error) {
	if _, err := w.in.write(p); err != nil {
		return 0, err
	}
	return w.end.Write(p)
}

// The answers to some requests are requests themselves.
func TestServerDoesNotAnswerItself(t *testing.T) {
	write, reading := modbus.PDU{6, 0, 10, 0, 42}, modbus.PDU{3, 0, 10, 0, 1}
	tests := []struct {
		name  string
		echo  bool
		first modbus.PDU
		more  int // answers to itself, until it knows
	}{
		{"echo, read first", true, reading, 0},
		{"echo, writes only", true, write, 2},
		{"no echo, read first", false, reading, 0},
		{"no echo, writes only", false, write, 0},
	}
	for f, l := range map[modbus.Framing]language{modbus.RTU: rtu, modbus.ASCII: ascii} {
		for _, tt := range tests {
			t.Run(tt.name+"/"+f.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					units, _ := station()
					near, far := cable()
					var c modbus.Conn = far
					if tt.echo {
						c = twoWire{far}
					}
					go modbus.Serve(t.Context(), c, f, slow, units)
					want := tt.more * len(l.frame(append([]byte{17}, write...)))
					for _, req := range []modbus.PDU{tt.first, write, write, write, write, reading, write, write} {
						resp := req
						if req.Function().Reads() {
							resp = modbus.PDU{3, 2, 0, 0}
						}
						want += len(l.frame(append([]byte{17}, resp...)))
						near.Write(l.frame(append([]byte{17}, req...)))
						time.Sleep(time.Second)
					}
					near.Close()
					synctest.Wait()
					if got := len(near.in.b); got != want {
						t.Errorf("%d bytes answered, want %d", got, want)
					}
				})
			})
		}
	}
}

func TestServerOnTCP(t *testing.T) {
	tests := []struct {
		name string
		send []piece
		want []byte
	}{
		{
			"two requests in one segment, the second cut",
			[]piece{
				{0, []byte{1, 2, 0, 0, 0, 6, 17, 3, 0, 10, 0, 1, 3, 4, 0, 0, 0, 6, 18, 3}},
				{time.Hour, []byte{0, 10, 0, 1}},
			},
			[]byte{1, 2, 0, 0, 0, 5, 17, 3, 2, 0, 1, 3, 4, 0, 0, 0, 5, 18, 3, 2, 0, 9},
		},
		{"unknown function", []piece{{0, []byte{1, 2, 0, 0, 0, 3, 17, 43, 13}}}, []byte{1, 2, 0, 0, 0, 3, 17, 0xAB, 1}},
		{"wrong length", []piece{{0, []byte{1, 2, 0, 0, 0, 3, 17, 3, 0}}}, []byte{1, 2, 0, 0, 0, 3, 17, 0x83, 3}},
		{"absent unit", []piece{{0, []byte{1, 2, 0, 0, 0, 6, 99, 3, 0, 10, 0, 1}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				units, _ := station()
				if got, _ := converse(t, modbus.TCP, units, tt.send...); !bytes.Equal(got, tt.want) {
					t.Errorf("got % X, want % X", got, tt.want)
				}
			})
		})
	}
}

func TestServeEndsQuietlyWithItsContextOrPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range everyFraming {
			near, far := cable()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if err := modbus.Serve(ctx, far, f, slow, modbus.Units{}); err != nil {
				t.Errorf("%v, context: %v", f, err)
			}
			near, far = cable()
			time.AfterFunc(time.Second, func() { near.Close() })
			if err := modbus.Serve(t.Context(), far, f, slow, modbus.Units{}); err != nil {
				t.Errorf("%v, hang up: %v", f, err)
			}
		}
	})
}

// broken fails to write.
type broken struct{ *end }

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestServeTellsWhyItCanNotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		units, _ := station()
		near, far := cable()
		near.Write([]byte("GET / HTTP/1.1\r\n"))
		if err := modbus.Serve(t.Context(), far, modbus.TCP, slow, units); err == nil {
			t.Error("HTTP is Modbus")
		}
		near, far = cable()
		near.Write(seal([]byte{17, 3, 0, 10, 0, 3}))
		if err := modbus.Serve(t.Context(), broken{far}, modbus.RTU, slow, units); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v", err)
		}
	})
}

func TestClientAndServerAgree(t *testing.T) {
	coils, err := modbus.WriteCoils(5, []bool{false, true})
	if err != nil {
		t.Fatal(err)
	}
	registers, err := modbus.WriteRegisters(11, []uint16{7, 8})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ req, want modbus.PDU }{
		{modbus.WriteRegister(10, 6), modbus.PDU{6, 0, 10, 0, 6}},
		{registers, modbus.PDU{16, 0, 11, 0, 2}},
		{read(t, modbus.FuncReadHoldingRegisters, 10, 3), modbus.PDU{3, 6, 0, 6, 0, 7, 0, 8}},
		{coils, modbus.PDU{15, 0, 5, 0, 2}},
		{read(t, modbus.FuncReadCoils, 5, 2), modbus.PDU{1, 1, 2}},
		{modbus.WriteCoil(5, true), modbus.PDU{5, 0, 5, 0xFF, 0}},
		{read(t, modbus.FuncReadCoils, 5, 2), modbus.PDU{1, 1, 3}},
		{modbus.WriteCoil(5, false), modbus.PDU{5, 0, 5, 0, 0}},
		{read(t, modbus.FuncReadCoils, 5, 2), modbus.PDU{1, 1, 2}},
		{read(t, modbus.FuncReadDiscreteInputs, 0, 1), modbus.PDU{2, 1, 1}},
		{read(t, modbus.FuncReadInputRegisters, 65535, 1), modbus.PDU{4, 2, 0xAB, 0xCD}},
	}
	for _, f := range everyFraming {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				units, _ := station()
				c := modbus.NewClient(serve(t, f, units), f, slow)
				for _, tt := range tests {
					a, err := c.Do(t.Context(), 17, tt.req, timeout)
					if err != nil || !bytes.Equal(a.PDU, tt.want) {
						t.Errorf("% X: % X, %v, want % X", []byte(tt.req), []byte(a.PDU), err, []byte(tt.want))
					}
				}
			})
		})
	}
}

func TestBankIsNeverReadTorn(t *testing.T) {
	var bank modbus.Bank
	bank.Set(modbus.InputRegisters, 0, 0, 0)
	var writer sync.WaitGroup
	writer.Go(func() {
		for v := range uint16(2000) {
			bank.Set(modbus.InputRegisters, 0, v, v)
		}
	})
	req := read(t, modbus.FuncReadInputRegisters, 0, 2)
	for range 2000 {
		resp, _ := bank.Handle(1, req)
		if v, err := modbus.Registers(resp); err != nil || v[0] != v[1] {
			t.Fatalf("read %v, %v", v, err)
		}
	}
	writer.Wait()
}

func TestBankEndsAtTheLastAddress(t *testing.T) {
	var bank modbus.Bank
	bank.Set(modbus.Coils, 65534, 1, 1, 1)
	if v, ok := bank.Get(modbus.Coils, 65534, 2); !ok || !slices.Equal(v, []uint16{1, 1}) {
		t.Errorf("got %v, %v", v, ok)
	}
	for _, addr := range []uint16{0, 65533} {
		if v, ok := bank.Get(modbus.Coils, addr, 1); ok {
			t.Errorf("address %d holds %v", addr, v)
		}
	}
	bank.Set(modbus.Coils, 0, 1)
	if v, ok := bank.Get(modbus.Coils, 65535, 2); ok {
		t.Errorf("addresses go round: %v", v)
	}
}
