package modbus

import (
	"bytes"
	"slices"
	"testing"
)

// addPDUs adds what units were asked and answered, and requests of functions
// that no capture has.
func addPDUs(f *testing.F, add func(p PDU)) {
	f.Helper()
	for _, c := range captures(f) {
		if len(c.bytes) > mbapSize && c.kind != '!' {
			add(c.bytes[mbapSize:])
		}
	}
	for _, p := range []PDU{
		{11},
		{11, 0xFF, 0xFF, 1, 8},
		{12},
		{12, 8, 0, 0, 1, 8, 1, 0x21, 0x20, 0},
		{20, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2},
		{20, 12, 5, 6, 0x0D, 0xFE, 0, 0x20, 5, 6, 0x33, 0xCD, 0, 0x40},
		{21, 13, 6, 0, 4, 0, 7, 0, 3, 6, 0xAF, 4, 0xBE, 0x10, 0x0D},
		{24, 4, 0xDE},
		{24, 0, 6, 0, 2, 1, 0xB8, 0x12, 0x84},
		{43, 14, 4, 2},
		{43, 14, 2, 0x82, 0xFF, 5, 1, 4, 2, 'o', 'k'},
		{8, 0, 0, 1, 2, 3, 4},
		{8, 0, 4, 0, 0},
		{8, 0, 4},
		{8, 0, 1, 0, 0},
		{3, 2, 0xBD, 0, 10},
		{3, 0, 32, 0, 1},
		{5, 0, 32, 0xFF, 0},
		{6, 0x1B, 0x59, 1, 2, 3, 4},
		{16, 0x1B, 0x59, 0, 1, 4, 1, 2, 3, 4},
		{3, 0x1B, 0x59, 0, 62},
	} {
		add(p)
	}
}

// What a parser takes can be put together again, byte for byte.
func FuzzAnswers(f *testing.F) {
	addPDUs(f, func(p PDU) { f.Add([]byte(p)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		again := func(p ...byte) {
			if !bytes.Equal(p, b) {
				t.Errorf("% X becomes % X", b, p)
			}
		}
		if v, err := ExceptionStatus(b); err == nil {
			again(7, v)
		}
		if sub, v, err := DiagnosticValue(b); err == nil && len(b) == 5 {
			again(Diagnose(sub, v)...)
		}
		if log, err := ParseEventLog(b); err == nil {
			head := appendRegisters([]byte{12, b[1], b[2], b[3]}, []uint16{log.Events, log.Messages})
			again(append(head, log.Log...)...)
		}
		if id, err := ServerID(b); err == nil {
			again(append([]byte{17, byte(len(id))}, id...)...)
		}
		if spans, err := FileRegisters(b); err == nil {
			p := []byte{20, b[1]}
			for _, registers := range spans {
				p = appendRegisters(append(p, byte(1+2*len(registers)), fileReference), registers)
			}
			again(p...)
		}
		if queue, err := Queue(b); err == nil {
			n := uint16(len(queue))
			again(appendRegisters(appendRegisters([]byte{24}, []uint16{2 + 2*n, n}), queue)...)
		}
		if i, err := ParseIdentity(b); err == nil {
			p := []byte{43, 14, byte(i.Access), i.Conformity, b[4], byte(i.Next), byte(len(i.Objects))}
			for _, o := range i.Objects {
				p = append(append(p, byte(o.ID), byte(len(o.Value))), o.Value...)
			}
			again(p...)
		}
	})
}

// What the first bytes tell of a length, more bytes do not change; and as long
// as it isn't told there have to be more.
func FuzzLengths(f *testing.F) {
	addPDUs(f, func(p PDU) { f.Add([]byte(p)) })
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, length := range []func([]byte) int{RequestLength, AnswerLength, Enron().RequestLength, Enron().AnswerLength} {
			told := 0
			for n := range min(len(b), MaxPDU) + 1 {
				if n < 2 {
					continue // 43 alone doesn't tell whether it is known
				}
				switch l := length(b[:n]); {
				case l < 0 || l > MaxPDU:
					t.Fatalf("% X takes %d bytes", b[:n], l)
				case told > 0 && l != told:
					t.Fatalf("% X takes %d bytes, with more of them %d", b[:n], told, l)
				case l <= n:
					told = l
				}
			}
		}
	})
}

// Whatever a unit is asked, its answer is one that a client takes.
func FuzzUnit(f *testing.F) {
	addPDUs(f, func(p PDU) { f.Add([]byte(p), []byte(p)) })
	f.Fuzz(func(t *testing.T, first, second []byte) {
		b := Bank{Dialect: Enron()}
		b.Set(Coils, 0, 1, 0, 1)
		b.Set(HoldingRegisters, 0, make([]uint16, 600)...)
		b.Set(HoldingRegisters, 7001, make([]uint16, 130)...)
		b.Files.Set(4, 0, make([]uint16, 200)...)
		b.Queues.Set(0, 1, 2, 3)
		b.Identity.SetServerID([]byte("id"), true)
		b.Identity.SetObjects(Object{0, "vendor"}, Object{0x80, string(make([]byte, 300))}, Object{0x81, "more"})
		b.Archives.SetRecord(701, 10, make([]byte, 20))
		b.Archives.Log(EnronLog, make([]byte, 20), make([]byte, 300))
		for _, req := range []PDU{first, second} {
			resp, ok := b.Handle(1, slices.Clone(req))
			_, err := b.Dialect.ParseRequest(req)
			e, declined := resp.exception()
			if n := b.Dialect.AnswerLength(resp); ok && n != len(resp) && !DiagLoopback.asks(req) {
				t.Errorf("% X is answered with % X, which seems to take %d bytes", req, resp, n)
			}
			switch {
			case !ok && !DiagListenOnly.asks(first) && !DiagListenOnly.asks(req):
				t.Errorf("% X is not answered", req)
			case !ok:
			case err != nil && (!declined || e != err):
				t.Errorf("% X is answered with % X, want %v", req, resp, err)
			case err == nil && !b.Dialect.Answers(req, resp):
				t.Errorf("% X is answered with % X, which no client takes", req, resp)
			}
		}
	})
}

// Whatever is on a line, an answer that is found there is intact, of the unit
// asked, and one that the request accepts; and one behind noise is found unless
// the noise ends like the begin of one.
func FuzzSearch(f *testing.F) {
	last := PDU{3, 0, 0, 0, 1}
	addPDUs(f, func(p PDU) {
		f.Add([]byte(last), []byte(p), []byte{1, 3, 2})
		last = p
	})
	f.Fuzz(func(t *testing.T, req, answer, noise []byte) {
		want, err := Enron().shapeOf(1, req)
		if err != nil {
			return
		}
		line := append(bytes.Clone(noise), appendRTU(nil, 1, answer)...)
		s := rtuCodec{}.answer(line, want)
		if s.length == 0 {
			if want.accepts(answer) {
				t.Errorf("% X: no answer in % X", req, line)
			}
			return
		}
		frame := line[s.start : s.start+s.length]
		if !intact(frame) || frame[0] != 1 || !want.accepts(frame[1:len(frame)-2]) || !bytes.Equal(s.pdu, frame[1:len(frame)-2]) {
			t.Errorf("% X: found % X in % X", req, frame, line)
		}
	})
}
