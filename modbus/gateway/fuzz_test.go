package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// script is a connection on which all that a client will say was said already.
type script struct {
	net.Conn // nil: nothing else is called
	said     *bytes.Reader
	mu       sync.Mutex
	heard    []byte
}

func (s *script) Read(b []byte) (int, error)       { return s.said.Read(b) }
func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func (s *script) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, b...)
	return len(b), nil
}

// witness is a line that notes what it is asked.
type witness struct {
	mu    sync.Mutex
	asked []modbus.PDU
	units []modbus.UnitID
}

func (w *witness) Do(_ context.Context, _ bus.Class, unit modbus.UnitID, req modbus.PDU) (modbus.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.units = append(w.asked, req), append(w.units, unit)
	return modbus.Answer{}, modbus.ErrTimeout
}

// Whatever a client sends, it writes nothing that is not on the list, reads no
// range to avoid, and is answered in whole frames, each to one of its requests.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1, 0, 2, 0, 0, 0, 6, 1, 6, 0, 10, 0, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 6, 0, 9, 0, 1, 0, 2, 0, 0, 0, 6, 1, 5, 0, 10, 0, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 9, 1, 16, 0, 10, 0, 1, 2, 0, 1, 0, 3, 0, 0, 0, 8, 1, 22, 0, 10, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 13, 1, 23, 0, 0, 0, 1, 0, 10, 0, 1, 2, 0, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 8, 0, 1, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 3, 0, 99, 0, 2, 0, 2, 0, 0, 0, 6, 2, 3, 0, 100, 0, 1})
	f.Add([]byte{0, 1, 0, 0, 0, 2, 255, 7, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, said []byte) {
		var w witness
		avoid := bus.Range{Function: modbus.FuncReadHoldingRegisters, Addr: 100, Quantity: 1}
		g := New(Options{Line: &w, Avoid: map[modbus.UnitID][]bus.Range{1: {avoid}}})
		d := g.Door(DoorOptions{Framing: modbus.TCP, Writes: []Write{{Unit: 1, First: 10, Last: 10}}})
		conn := &script{said: bytes.NewReader(said)}
		d.serve(t.Context(), conn, slog.New(slog.DiscardHandler))
		for i, req := range w.asked {
			allowed := len(req) >= 5 && req[1] == 0 && req[2] == 10
			switch req.Function() {
			case modbus.FuncWriteCoil, modbus.FuncWriteRegister:
			case modbus.FuncWriteCoils, modbus.FuncWriteRegisters:
				allowed = allowed && req[3] == 0 && req[4] == 1
			default:
				allowed = !changes(req)
			}
			if req.Function() == modbus.FuncReadHoldingRegisters && len(req) == 5 && req[1] == 0 && req[2] <= 100 && int(req[2])+int(req[4]) > 100 {
				allowed = w.units[i] != 1
			}
			if !allowed {
				t.Errorf("% X went to the line", []byte(req))
			}
		}
		functions := map[uint16]map[byte]bool{} // by transaction
		for b := said; len(b) > mbapSize; {
			n := mbapSize - 1 + int(binary.BigEndian.Uint16(b[4:]))
			id := binary.BigEndian.Uint16(b)
			if functions[id] == nil {
				functions[id] = map[byte]bool{}
			}
			functions[id][b[mbapSize]|0x80] = true
			b = b[min(n, len(b)):]
		}
		for b := conn.heard; len(b) > 0; {
			if len(b) < mbapSize+2 || b[5] != 3 || !functions[binary.BigEndian.Uint16(b)][b[mbapSize]] {
				t.Fatalf("% X was heard, after % X", b, said)
			}
			b = b[mbapSize+2:]
		}
	})
}
