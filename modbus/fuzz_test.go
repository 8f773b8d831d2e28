package modbus

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// script is a connection whose far end says what it says, whatever it is asked:
// a byte of text is a length and its high bit a pause, then come so many bytes.
type script struct {
	text     []byte
	deadline time.Time
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		time.Sleep(time.Until(s.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	n := min(int(s.text[0]&0x3F), len(s.text)-1)
	pause := time.Duration(s.text[0]&0xC0) * time.Millisecond
	if wait := time.Until(s.deadline); !s.deadline.IsZero() && wait <= pause {
		time.Sleep(wait)
		s.text[0] &= 0x3F
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(pause)
	part := s.text[1 : 1+n]
	s.text = s.text[1+n:]
	if n == 0 {
		return 0, io.EOF
	}
	return copy(p, part), nil
}

func (s *script) Write(p []byte) (int, error)       { return len(p), nil }
func (s *script) Close() error                      { return nil }
func (s *script) SetReadDeadline(t time.Time) error { s.deadline = t; return nil }
func (s *script) SetWriteDeadline(time.Time) error  { return nil }

// say writes frames as script reads them.
func say(frames ...[]byte) (text []byte) {
	for _, f := range frames {
		for part := range slices.Chunk(f, 0x3F) {
			text = append(append(text, byte(len(part))), part...)
		}
	}
	return text
}

func addCaptures(f *testing.F) {
	for _, c := range captures(f) {
		f.Add(c.bytes)
		if c.kind != '!' {
			f.Add(appendRTU(nil, UnitID(c.bytes[6]), c.bytes[7:]))
		}
	}
}

// lines are the framings that have no transaction id.
var lines = []Framing{RTU, RTUOverTCP, ASCII, ASCIIOverTCP}

// Whatever comes, an answer was there byte for byte, of the unit asked, of the
// function asked, of the length asked, and intact.
func FuzzClient(f *testing.F) {
	for n, framing := range lines {
		c := (&wire{framing: framing}).codec()
		frame := c.seal(nil, 1, PDU{3, 4, 0, 1, 0, 2})
		f.Add(say(frame), byte(n))
		f.Add(say([]byte{0xFF}, frame[:4], frame[4:], []byte{1}), byte(n))
		f.Add(say(c.seal(nil, 1, request(FuncReadHoldingRegisters, 0, 2)), frame), byte(n))
		f.Add(say(c.seal(nil, 1, PDU{0x83, 2}), frame), byte(n))
		f.Add(say(c.seal(nil, 2, PDU{3, 4, 0, 1, 0, 2}), frame), byte(n))
	}
	f.Fuzz(func(t *testing.T, text []byte, n byte) {
		synctest.Test(t, func(t *testing.T) {
			c := NewClient(&script{text: bytes.Clone(text)}, lines[int(n)%len(lines)], LineTiming{Bit: time.Second / 9600, CharBits: 11})
			for range 3 {
				a, err := c.Do(t.Context(), 1, request(FuncReadHoldingRegisters, 0, 2), 100*time.Millisecond)
				if err != nil {
					continue
				}
				whole := c.wire.codec().seal(nil, 1, a.PDU)
				if len(a.PDU) != 6 || a.PDU[0] != 3 || a.PDU[1] != 4 || !within(bytes.ToUpper(text), whole) && !within(text, whole) {
					t.Errorf("% X in % X", a.PDU, text)
				}
			}
		})
	})
}

// within reports whether the bytes of b come in text in this order.
func within(text, b []byte) bool {
	for _, c := range text {
		if len(b) > 0 && c == b[0] {
			b = b[1:]
		}
	}
	return len(b) == 0
}

func FuzzClientTCP(f *testing.F) {
	frame := appendTCP(nil, 1, 1, PDU{3, 4, 0, 1, 0, 2})
	f.Add(say(frame, appendTCP(nil, 2, 1, PDU{0x83, 2})))
	f.Add(say(append(appendTCP(nil, 7, 1, PDU{3, 4, 0, 1, 0, 2}), frame...)))
	f.Fuzz(func(t *testing.T, text []byte) {
		synctest.Test(t, func(t *testing.T) {
			c := NewClient(&script{text: bytes.Clone(text)}, TCP, LineTiming{})
			for n := range uint16(3) {
				a, err := c.Do(t.Context(), 1, request(FuncReadHoldingRegisters, 0, 2), 100*time.Millisecond)
				if err == nil && (len(a.PDU) != 6 || !within(text, appendTCP(nil, n+1, 1, a.PDU))) {
					t.Errorf("% X in % X", a.PDU, text)
				}
			}
		})
	})
}

// A request behind whatever noise is answered, unless the noise ends in the
// begin of a request itself; and nothing is answered that was not intact.
func FuzzServerRTU(f *testing.F) {
	addCaptures(f)
	f.Fuzz(func(t *testing.T, noise []byte) {
		ask := appendRTU(nil, 1, request(FuncReadHoldingRegisters, 0, 2))
		b := append(bytes.Clone(noise), ask...)
		for {
			r := rtuCodec{}.request(b, false)
			if r.length == 0 {
				t.Fatalf("no request in % X", b)
			}
			end := r.start + r.length
			if frame := b[r.start:end]; !intact(frame) || frame[0] > lastUnit {
				t.Fatalf("took % X", frame)
			}
			if end > len(b)-len(ask) {
				return
			}
			b = b[end:]
		}
	})
}

// silent is a server's handler that never answers.
type silent struct{}

func (silent) Handle(UnitID, PDU) (PDU, bool) { return nil, false }

func FuzzServe(f *testing.F) {
	addCaptures(f)
	var bank Bank
	f.Fuzz(func(t *testing.T, text []byte) {
		synctest.Test(t, func(t *testing.T) {
			for _, framing := range append([]Framing{TCP}, lines...) {
				for _, h := range []Handler{silent{}, &bank} {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					_ = Serve(ctx, &hangsUp{script{text: bytes.Clone(text)}}, framing, LineTiming{}, h)
					cancel()
				}
			}
		})
	})
}

// hangsUp is a script that ends with the end of the stream.
type hangsUp struct{ script }

func (h *hangsUp) Read(p []byte) (int, error) {
	if len(h.text) == 0 {
		return 0, io.EOF
	}
	return h.script.Read(p)
}

// What is said in ASCII is heard as it was said, and whatever is heard can be
// said again.
func FuzzASCII(f *testing.F) {
	f.Add([]byte(":010300010001FA\r\n"))
	f.Add([]byte(":0103\n:11830a62\r\n:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		heard := asciiCodec{}.anyAnswer(b, len(b))
		if n := heard.length; n > 0 {
			again := asciiCodec{}.seal(nil, heard.unit, heard.pdu)
			if !bytes.Equal(again, bytes.ToUpper(b[heard.start:heard.start+n])) || n > maxASCII {
				t.Errorf("%q becomes %q", b[heard.start:heard.start+n], again)
			}
		}
		if len(b) < 2 || len(b) > 1+MaxPDU {
			return
		}
		said := asciiCodec{}.seal([]byte(":01"), UnitID(b[0]), b[1:])
		heard = asciiCodec{}.anyAnswer(said, len(said))
		if heard.start != 3 || heard.unit != UnitID(b[0]) || !bytes.Equal(heard.pdu, b[1:]) {
			t.Errorf("% X is said as %q and heard as % X", b, said, heard.pdu)
		}
	})
}

func FuzzMBAP(f *testing.F) {
	addCaptures(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, p, length, err := frameTCP(b)
		if err != nil || length == 0 {
			return
		}
		if again := appendTCP(nil, h.transaction, h.unit, p); !bytes.Equal(again, b[:length]) || len(p) > MaxPDU || len(p) == 0 {
			t.Errorf("% X becomes % X", b[:length], again)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, c := range captures(f) {
		if len(c.bytes) > mbapSize {
			f.Add(c.bytes[mbapSize:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			if _, ok := err.(Exception); !ok {
				t.Errorf("% X: %v is no exception", b, err)
			}
			return
		}
		if again := rebuild(t, r); !bytes.Equal(again, b) {
			t.Errorf("% X becomes % X", b, again)
		}
		if n := RequestLength(b); n != len(b) && !DiagLoopback.asks(b) {
			t.Errorf("% X seems to take %d bytes", b, n)
		}
	})
}

// rebuild makes a request anew with the constructors.
func rebuild(t *testing.T, r Request) (req PDU) {
	var err error
	word := func(i int) uint16 { return words(r.Data)[i] }
	switch r.Function {
	case FuncReadCoils, FuncReadDiscreteInputs, FuncReadHoldingRegisters, FuncReadInputRegisters:
		req, err = ReadRequest(r.Function, r.Addr, r.Quantity)
	case FuncWriteCoil:
		req = WriteCoil(r.Addr, r.Data[0] != 0)
	case FuncWriteRegister:
		req = WriteRegister(r.Addr, word(0))
	case FuncReadExceptionStatus:
		req = ReadExceptionStatus()
	case FuncDiagnostics:
		if req = Diagnose(Diagnostic(word(0)), word(1)); word(0) == 0 {
			req, err = Loopback(r.Data[2:])
		}
	case FuncGetEventCounter:
		req = GetEventCounter()
	case FuncGetEventLog:
		req = GetEventLog()
	case FuncWriteCoils:
		bits := unpackBits(r.Data, r.Quantity)
		if req, err = WriteCoils(r.Addr, bits); err == nil {
			// The unused bits of the last byte are free.
			req[len(req)-1] = r.Data[len(r.Data)-1]
		}
	case FuncWriteRegisters:
		req, err = WriteRegisters(r.Addr, words(r.Data))
	case FuncReportServerID:
		req = ReportServerID()
	case FuncReadFileRecords:
		var spans []FileSpan
		if spans, err = parseSpans(append(PDU{20}, r.Data...)); err == nil {
			req, err = ReadFileRecords(spans...)
		}
	case FuncWriteFileRecords:
		var records []FileRecord
		if records, err = parseRecords(append(PDU{21, byte(len(r.Data))}, r.Data...)); err == nil {
			req, err = WriteFileRecords(records...)
		}
	case FuncMaskRegister:
		req = MaskRegister(r.Addr, word(0), word(1))
	case FuncReadWriteRegisters:
		req, err = ReadWriteRegisters(r.ReadAddr, r.ReadQuantity, r.Addr, words(r.Data))
	case FuncReadQueue:
		req = ReadQueue(r.Addr)
	case FuncReadDeviceIdentity:
		req = ReadIdentity(Access(r.Data[1]), ObjectID(r.Data[2]))
	}
	if err != nil {
		t.Errorf("%+v: %v", r, err)
	}
	return req
}

func FuzzResponse(f *testing.F) {
	addCaptures(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := Registers(b); err == nil && !bytes.Equal(appendRegisters(b[:2:2], v), b) {
			t.Errorf("% X holds %04X", b, v)
		}
		if len(b) < 2 {
			return
		}
		quantity := 8 * int(b[1])
		if v, err := Bits(b, quantity); err == nil && !bytes.Equal(appendBits(b[:2:2], v), b) {
			t.Errorf("% X holds %v", b, v)
		}
	})
}

// Whatever a format decodes it encodes back to the same registers.
func FuzzFormat(f *testing.F) {
	f.Add("ABCD", uint64(0), uint8(0), uint8(0), []byte{0x47, 0xF1, 0x20, 0})
	f.Add("BA", uint64(0xFF00), uint8(8), uint8(1), []byte{0x47, 0x11})
	f.Add("GHEFCDAB", uint64(1)<<63, uint8(63), uint8(0), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add("CDAB", uint64(0), uint8(0), uint8(2), []byte{0x27, 0x0F, 0, 1})
	f.Add("AB", uint64(0x0FF0), uint8(4), uint8(3), []byte{0x0F, 0xF1})
	f.Fuzz(func(t *testing.T, letters string, mask uint64, shift, coding uint8, b []byte) {
		order, err := ParseOrder(letters)
		if err != nil || len(b) != 2*order.Registers() {
			return
		}
		format := Format{Order: order, BCD: coding == 1, Mod10k: coding == 2, SignMagnitude: coding == 3, Mask: mask, Shift: shift % 64}
		regs, err := Registers(append(PDU{3, byte(len(b))}, b...))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := format.Decode(regs)
		if err != nil {
			return
		}
		again := slices.Clone(regs)
		if err := format.Encode(again, raw); err != nil {
			t.Fatalf("%+v %04X %#x: %v", format, regs, raw, err)
		}
		if back, err := format.Decode(again); err != nil || back != raw {
			t.Errorf("%+v: %#x becomes %04X, which is %#x, %v", format, raw, again, back, err)
		}
		minus0 := format.SignMagnitude && raw == 0
		if low := uint64(1)<<format.Shift - 1; low == 0 && !minus0 && !slices.Equal(again, regs) {
			t.Errorf("%+v: %04X becomes %04X", format, regs, again)
		}
	})
}
