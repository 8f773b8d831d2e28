package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"skyhaul/modbus"
	hear "skyhaul/modbus/listen"
	"skyhaul/modbus/tap"
)

// traced is a frame or a run of noise on the line.
type traced struct {
	hear.Frame
	direction tap.Direction
	end       time.Time // of its last byte
	echo      bool      // this end hears itself
}

// dissector finds the frames in the chunks of a capture.
type dissector interface {
	// feed takes the next chunk; without bytes, only the time.
	feed(at time.Time, d tap.Direction, b []byte) []traced
}

func newDissector(h tap.Header) dissector {
	in := stream{timing: h.Timing(), last: h.Begun}
	switch h.Framing {
	case modbus.TCP:
		return &tcpDissector{in: [2]stream{in, in}, asked: map[uint16]traced{}}
	case modbus.ASCII, modbus.ASCIIOverTCP:
		return &asciiDissector{in: in}
	default:
		return &rtuDissector{decoder: hear.NewDecoder(h.Timing()), in: in}
	}
}

// stream is what passed and is no frame yet.
type stream struct {
	timing  modbus.LineTiming
	b       []byte
	origins []origin
	last    time.Time // end of the last byte, at first when the capture began
}

// origin is where and when a byte passed.
type origin struct {
	direction  tap.Direction
	begin, end time.Time
}

// add spreads a chunk over the time that it took on the line: what is sent
// begins when it is told, what is received has ended. No byte begins before
// the one before it has ended, however late it was fetched.
func (s *stream) add(at time.Time, d tap.Direction, b []byte) {
	begin := at
	if d == tap.Received {
		begin = at.Add(-s.timing.Wire(len(b)))
	}
	if begin.Before(s.last) {
		begin = s.last
	}
	for i := range b {
		s.origins = append(s.origins, origin{d, begin.Add(s.timing.Wire(i)), begin.Add(s.timing.Wire(i + 1))})
	}
	s.b = append(s.b, b...)
	if len(b) > 0 {
		s.last = s.origins[len(s.origins)-1].end
	}
}

// take removes the first n bytes as a frame that has no meaning yet.
func (s *stream) take(n int) traced {
	first, last := s.origins[0], s.origins[n-1]
	t := traced{Frame: hear.Frame{At: first.begin, Bytes: s.b[:n:n]}, direction: first.direction, end: last.end}
	s.b, s.origins = s.b[n:], s.origins[n:]
	return t
}

// rtuDissector lets a listener find the frames. It pairs an answer with the
// request just before it, which is good enough to look at.
type rtuDissector struct {
	decoder *hear.Decoder
	in      stream // what the decoder holds
	last    traced // the last frame
}

func (r *rtuDissector) feed(at time.Time, d tap.Direction, b []byte) (out []traced) {
	r.in.add(at, d, b)
	for _, f := range r.decoder.Feed(at, b) {
		t := r.in.take(len(f.Bytes))
		t.Kind, t.Unit, t.PDU = f.Kind, f.Unit, f.PDU
		t.echo = t.direction == tap.Received && r.last.direction == tap.Sent && bytes.Equal(t.Bytes, r.last.Bytes)
		if t.Kind == hear.Answer {
			t.pair(r.last)
		}
		if !t.echo {
			r.last = t
		}
		out = append(out, t)
	}
	return out
}

// pair makes t the answer to q if it can be.
func (t *traced) pair(q traced) {
	if q.Kind == hear.Request && q.Unit == t.Unit && q.PDU.Function() == t.PDU.Function()&^exceptionBit {
		t.Request, t.Asked = q.PDU, q.end
	}
}

// tcpDissector pairs by transaction id.
type tcpDissector struct {
	in    [2]stream // sent, received
	asked map[uint16]traced
}

// mbapSize is the length of the header with the unit id. MODBUS Messaging on
// TCP/IP V1.0b, section 3.1.3.
const mbapSize = 7

func (t *tcpDissector) feed(at time.Time, d tap.Direction, b []byte) (out []traced) {
	s := &t.in[0]
	if d == tap.Received {
		s = &t.in[1]
	}
	s.add(at, d, b)
	for len(s.b) > 0 {
		n, ok := frameTCP(s.b)
		if n > len(s.b) {
			return out
		}
		f := s.take(n)
		if ok {
			t.name(&f)
		}
		out = append(out, f)
	}
	return out
}

// frameTCP returns the length of the frame that b begins with; with ok false,
// of bytes that are none.
func frameTCP(b []byte) (n int, ok bool) {
	if len(b) < mbapSize {
		return mbapSize, true
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if binary.BigEndian.Uint16(b[2:]) != 0 || length < 2 || length > 1+modbus.MaxPDU {
		return len(b), false // the stream is out of step for good
	}
	return mbapSize - 1 + length, true
}

// maxAsked bounds the requests that are remembered until their answers come.
const maxAsked = 64

// name says what a frame is.
func (t *tcpDissector) name(f *traced) {
	id := binary.BigEndian.Uint16(f.Bytes)
	f.Unit, f.PDU = modbus.UnitID(f.Bytes[6]), modbus.PDU(f.Bytes[mbapSize:])
	f.Kind = hear.Request
	if f.direction == tap.Sent {
		if len(t.asked) >= maxAsked {
			clear(t.asked)
		}
		t.asked[id] = *f
		return
	}
	f.Kind = hear.Answer
	if q, ok := t.asked[id]; ok && q.Unit == f.Unit {
		f.Request, f.Asked = q.PDU, q.end
		delete(t.asked, id)
	}
}

// asciiDissector finds frames by colon and line feed. It pairs as rtuDissector.
type asciiDissector struct {
	in   stream
	last traced // the last frame
}

// maxASCII is the length of the longest frame. MODBUS over Serial Line V1.02,
// section 2.5.2.1.
const maxASCII = 513

func (a *asciiDissector) feed(at time.Time, d tap.Direction, b []byte) (out []traced) {
	a.in.add(at, d, b)
	for len(a.in.b) > 0 {
		n := bytes.IndexByte(a.in.b, '\n') + 1
		switch {
		case n > 0:
		case len(a.in.b) < maxASCII && at.Sub(a.in.last) < time.Second: // the longest pause in a frame
			return out
		default:
			n = len(a.in.b)
		}
		t := a.in.take(n)
		a.name(&t)
		out = append(out, t)
	}
	return out
}

// name says what a frame is. An answer may look like a request.
func (a *asciiDissector) name(t *traced) {
	adu, ok := openASCII(t.Bytes)
	if !ok {
		return
	}
	t.Unit, t.PDU = modbus.UnitID(adu[0]), modbus.PDU(adu[1:len(adu)-1])
	t.echo = t.direction == tap.Received && a.last.direction == tap.Sent && bytes.Equal(t.Bytes, a.last.Bytes)
	t.Kind = hear.Request
	if modbus.AnswerLength(t.PDU) == len(t.PDU) && !t.echo && t.direction == tap.Received {
		if t.pair(a.last); t.Request != nil || t.PDU.Function()&exceptionBit != 0 || modbus.RequestLength(t.PDU) != len(t.PDU) {
			t.Kind = hear.Answer
		}
	}
	if !t.echo {
		a.last = *t
	}
}

// openASCII returns unit id, PDU and LRC of a frame whose LRC is right.
func openASCII(b []byte) (adu []byte, ok bool) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return nil, false
	}
	adu, err := hex.DecodeString(strings.TrimRight(string(b[i+1:]), "\r\n"))
	if err != nil || len(adu) < 3 {
		return nil, false
	}
	var sum byte
	for _, c := range adu {
		sum += c
	}
	return adu, sum == 0
}

const exceptionBit = 0x80

// functionNames are for people.
var functionNames = map[modbus.FunctionCode]string{
	modbus.FuncReadCoils: "read", modbus.FuncReadDiscreteInputs: "read", modbus.FuncReadHoldingRegisters: "read", modbus.FuncReadInputRegisters: "read",
	modbus.FuncWriteCoil: "write", modbus.FuncWriteRegister: "write", modbus.FuncWriteCoils: "write", modbus.FuncWriteRegisters: "write",
	modbus.FuncReadExceptionStatus: "read exception status", modbus.FuncDiagnostics: "diagnostics", modbus.FuncGetEventCounter: "get event counter",
	modbus.FuncGetEventLog: "get event log", modbus.FuncReportServerID: "report server id", modbus.FuncReadFileRecords: "read file records",
	modbus.FuncWriteFileRecords: "write file records", modbus.FuncMaskRegister: "mask register", modbus.FuncReadWriteRegisters: "read and write registers",
	modbus.FuncReadQueue: "read queue", modbus.FuncReadDeviceIdentity: "read device identity",
}

func functionName(fc modbus.FunctionCode) string {
	if name, ok := functionNames[fc]; ok {
		return name
	}
	return fmt.Sprintf("function %d", fc)
}

// meaning says what a frame says.
func (t *traced) meaning() string {
	unit := fmt.Sprintf("unit %d ", t.Unit)
	switch {
	case t.Kind == hear.Noise:
		return noiseMeaning(t.Bytes)
	case t.echo:
		return unit + "echo of the request"
	case t.Unit == modbus.Broadcast && t.Kind == hear.Request:
		unit = "all units "
	}
	if t.Kind == hear.Request {
		return unit + requestMeaning(t.PDU)
	}
	return unit + answerMeaning(t.Request, t.PDU)
}

// noiseMeaning says whether noise is a frame but for its checksum.
func noiseMeaning(b []byte) string {
	const ends = 3 // unit id and CRC
	if len(b) > ends+1 {
		p := modbus.PDU(b[1:])
		n := len(b) - ends
		fc := p.Function() &^ exceptionBit
		switch {
		case modbus.AnswerLength(p) == n:
			return fmt.Sprintf("WRONG CHECKSUM, else an answer of unit %d, %s", b[0], functionName(fc))
		case modbus.RequestLength(p) == n:
			return fmt.Sprintf("WRONG CHECKSUM, else a request to unit %d, %s", b[0], functionName(fc))
		}
	}
	return fmt.Sprintf("NOISE, %d bytes of no frame", len(b))
}

// requestMeaning says what a request asks for.
func requestMeaning(p modbus.PDU) string {
	r, err := modbus.ParseRequest(p)
	if err != nil {
		return functionName(p.Function())
	}
	where := place{tableOf(readsTable(r.Function)), r.Addr}
	text := fmt.Sprintf("%s %s %s (wire %d)", functionName(r.Function), where.table.name, where.span(r.Quantity), r.Addr)
	if !r.Function.Reads() {
		text += " = " + dataMeaning(r.Function, r.Data, r.Quantity)
	}
	return text
}

// readsTable returns the function that reads what another one writes.
func readsTable(fc modbus.FunctionCode) modbus.FunctionCode {
	switch {
	case fc.Reads():
		return fc
	case fc.Bits():
		return modbus.FuncReadCoils
	}
	return modbus.FuncReadHoldingRegisters
}

// dataMeaning lists registers as numbers, bits as digits.
func dataMeaning(fc modbus.FunctionCode, data []byte, quantity int) string {
	var words []string
	switch {
	case fc == modbus.FuncWriteCoil:
		return map[bool]string{true: "on", false: "off"}[len(data) > 0 && data[0] != 0]
	case fc.Bits():
		for i := range min(quantity, 8*len(data)) {
			words = append(words, fmt.Sprint(data[i/8]>>(i%8)&1))
		}
		return strings.Join(words, "")
	}
	for pair := range bytesInPairs(data) {
		words = append(words, fmt.Sprint(binary.BigEndian.Uint16(pair)))
	}
	return strings.Join(words, " ")
}

func bytesInPairs(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) >= 2 && yield(b[:2]) {
			b = b[2:]
		}
	}
}

// answerMeaning says what an answer says; req is nil where it is not known.
func answerMeaning(req, p modbus.PDU) string {
	fc := p.Function() &^ exceptionBit
	if p.Function()&exceptionBit != 0 && len(p) == 2 {
		return fmt.Sprintf("%s: %v", functionName(fc), modbus.Exception(p[1]))
	}
	if fc == modbus.FuncReadDeviceIdentity {
		if id, err := modbus.ParseIdentity(p); err == nil {
			return "is " + identityText(id.Objects)
		}
	}
	r, err := modbus.ParseRequest(req)
	switch {
	case fc.Reads() && err == nil && r.Function.Reads() && len(p) > 2:
		where := place{tableOf(r.Function), r.Addr}
		return fmt.Sprintf("%s %s = %s", where.table.name, where.span(r.Quantity), dataMeaning(fc, p[2:], r.Quantity))
	case fc.Reads() && len(p) > 2:
		return fmt.Sprintf("answers %s: %s", tableOf(fc).name, dataMeaning(fc, p[2:], 8*len(p)))
	case err == nil && fc.Writes():
		return "has written " + strings.TrimPrefix(strings.SplitN(requestMeaning(req), " = ", 2)[0], "write ")
	}
	return "answers " + functionName(fc)
}

// identityText puts what a unit says of itself on one line.
func identityText(objects []modbus.Object) string {
	words := make([]string, len(objects))
	for i, o := range objects {
		words[i] = plain(o.Value)
	}
	return strings.Join(words, ", ")
}
