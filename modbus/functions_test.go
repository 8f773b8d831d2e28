package modbus_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// whole is a unit that can be asked everything.
func whole() *modbus.Bank {
	var b modbus.Bank
	b.Set(modbus.HoldingRegisters, 3, 0x00FE, 0x0ACD, 1, 3, 0x0D, 0xFF)
	b.Set(modbus.HoldingRegisters, 0x0E, 0, 0, 0, 0x12)
	b.Diagnostics.SetStatus(0x6D)
	b.Diagnostics.SetRegister(0x1234)
	b.Files.Set(4, 1, 0x0DFE, 0x0020)
	b.Files.Set(4, 7, 0, 0, 0)
	b.Files.Set(3, 9, 0x33CD, 0x0040)
	b.Queues.Set(0x04DE, 0x01B8, 0x1284)
	b.Identity.SetServerID([]byte("flow"), true, 7)
	b.Identity.SetObjects(
		modbus.Object{ID: modbus.MajorMinorRevision, Value: "V2.11"},
		modbus.Object{ID: modbus.VendorName, Value: "Company identification"},
		modbus.Object{ID: modbus.ProductCode, Value: "Product code XX"},
	)
	return &b
}

// everything is what the whole unit is asked, and what it answers when asked in
// this order. The frames are the examples of V1.1b3, sections 6.7 to 6.21, where
// there is one.
func everything() []struct{ req, want modbus.PDU } {
	identity := slices.Concat(
		modbus.PDU{0x2B, 14, 1, 0x81, 0, 0, 3},
		[]byte("\x00\x16Company identification\x01\x0FProduct code XX\x02\x05V2.11"),
	)
	written := must(modbus.WriteFileRecords(modbus.FileRecord{File: 4, Record: 7, Registers: []uint16{0x06AF, 0x04BE, 0x100D}}))
	return []struct{ req, want modbus.PDU }{
		{modbus.GetEventLog(), modbus.PDU{0x0C, 7, 0, 0, 0, 0, 0, 1, 0x80}},
		{modbus.ReadExceptionStatus(), modbus.PDU{7, 0x6D}},
		{modbus.Diagnose(modbus.DiagLoopback, 0xA537), modbus.PDU{8, 0, 0, 0xA5, 0x37}},
		{modbus.Diagnose(modbus.DiagRegister, 0), modbus.PDU{8, 0, 2, 0x12, 0x34}},
		{modbus.Diagnose(modbus.DiagServerMessages, 0), modbus.PDU{8, 0, 14, 0, 5}},
		{modbus.GetEventCounter(), modbus.PDU{0x0B, 0, 0, 0, 5}},
		{modbus.ReportServerID(), modbus.PDU{0x11, 6, 'f', 'l', 'o', 'w', 0xFF, 7}},
		{
			must(modbus.ReadFileRecords(modbus.FileSpan{File: 4, Record: 1, Quantity: 2}, modbus.FileSpan{File: 3, Record: 9, Quantity: 2})),
			modbus.PDU{0x14, 0x0C, 5, 6, 0x0D, 0xFE, 0, 0x20, 5, 6, 0x33, 0xCD, 0, 0x40},
		},
		{written, written},
		{modbus.MaskRegister(0x11, 0xF2, 0x25), modbus.PDU{0x16, 0, 0x11, 0, 0xF2, 0, 0x25}},
		{must(modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0x11, 1)), modbus.PDU{3, 2, 0, 0x17}},
		{
			must(modbus.ReadWriteRegisters(3, 6, 0x0E, []uint16{0xFF, 0xFF, 0xFF})),
			modbus.PDU{0x17, 0x0C, 0, 0xFE, 0x0A, 0xCD, 0, 1, 0, 3, 0, 0x0D, 0, 0xFF},
		},
		{must(modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0x0E, 3)), modbus.PDU{3, 6, 0, 0xFF, 0, 0xFF, 0, 0xFF}},
		{modbus.ReadQueue(0x04DE), modbus.PDU{0x18, 0, 6, 0, 2, 1, 0xB8, 0x12, 0x84}},
		{modbus.ReadIdentity(modbus.BasicIdentity, 0), identity},
		{modbus.ReadIdentity(modbus.OneObject, 2), modbus.PDU{0x2B, 14, 4, 0x81, 0, 0, 1, 2, 5, 'V', '2', '.', '1', '1'}},
	}
}

func TestEveryFunctionGoesThroughEveryFraming(t *testing.T) {
	for _, f := range everyFraming {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := modbus.NewClient(serve(t, f, whole()), f, slow)
				for _, tt := range everything() {
					if a, err := do(t, c, tt.req); err != nil || !bytes.Equal(a.PDU, tt.want) {
						t.Errorf("% X: % X, %v, want % X", []byte(tt.req), []byte(a.PDU), err, []byte(tt.want))
					}
				}
				want := modbus.Counters{Requests: uint64(len(everything())), OK: uint64(len(everything()))}
				if diff := cmp.Diff(want, c.Counters()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestLongRequestsEndWithTheSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range everyFraming {
			c := modbus.NewClient(serve(t, f, whole()), f, slow)
			data := slices.Repeat([]byte{0xA5, 0x37}, 125)
			req := must(modbus.Loopback(data))
			if a := mustDo(t, c, req); !bytes.Equal(a.PDU, req) {
				t.Errorf("%v: got % X", f, []byte(a.PDU))
			}
		}
	})
}

func TestSilenceEndsNoOtherRequests(t *testing.T) {
	for name, frame := range map[string][]byte{
		"exception":         seal([]byte{1, 0x83, 2}),
		"cut read":          seal([]byte{1, 3, 0, 3, 0}),
		"long read":         seal([]byte{1, 3, 0, 3, 0, 1, 0}),
		"for reserved unit": seal([]byte{248, 99}),
	} {
		synctest.Test(t, func(t *testing.T) {
			if got, _ := converse(t, modbus.RTU, whole(), piece{0, frame}); got != nil {
				t.Errorf("%s is answered with % X", name, got)
			}
		})
	}
}

func TestRequestsThatNoUnitMayObeyAreNotBuilt(t *testing.T) {
	refused := map[string]error{}
	span := func(file, record uint16, quantity int) modbus.FileSpan {
		return modbus.FileSpan{File: file, Record: record, Quantity: quantity}
	}
	spans := func(name string, s ...modbus.FileSpan) { _, refused[name] = modbus.ReadFileRecords(s...) }
	spans("no span")
	spans("file 0", span(0, 0, 1))
	spans("no register", span(1, 0, 0))
	spans("past record 9999", span(1, 9999, 2))
	spans("an answer of 246 bytes", span(1, 0, 122))
	spans("36 spans", slices.Repeat([]modbus.FileSpan{span(1, 0, 1)}, 36)...)
	_, refused["no record"] = modbus.WriteFileRecords()
	_, refused["record of nothing"] = modbus.WriteFileRecords(modbus.FileRecord{File: 1})
	_, refused["records of 253 bytes"] = modbus.WriteFileRecords(modbus.FileRecord{File: 1, Registers: make([]uint16, 123)})
	_, refused["loopback of nothing"] = modbus.Loopback(nil)
	_, refused["odd loopback"] = modbus.Loopback(make([]byte, 3))
	_, refused["long loopback"] = modbus.Loopback(make([]byte, 252))
	_, refused["read of 126"] = modbus.ReadWriteRegisters(0, 126, 0, []uint16{1})
	_, refused["read of none"] = modbus.ReadWriteRegisters(0, 0, 0, []uint16{1})
	_, refused["write of 122"] = modbus.ReadWriteRegisters(0, 1, 0, make([]uint16, 122))
	_, refused["write of none"] = modbus.ReadWriteRegisters(0, 1, 0, nil)
	_, refused["write past the end"] = modbus.ReadWriteRegisters(0, 1, 65535, make([]uint16, 2))
	for name, err := range refused {
		if err == nil {
			t.Errorf("%s is built", name)
		}
	}
	// The other side of these limits.
	must(modbus.ReadFileRecords(span(0xFFFF, 9879, 121)))
	must(modbus.ReadFileRecords(slices.Repeat([]modbus.FileSpan{span(1, 0, 1)}, 35)...))
	must(modbus.WriteFileRecords(modbus.FileRecord{File: 1, Registers: make([]uint16, 122)}))
	must(modbus.Loopback(make([]byte, 250)))
	must(modbus.ReadWriteRegisters(65411, 125, 65415, make([]uint16, 121)))
}

// The codes are those of the diagrams in V1.1b3, sections 6.7 to 6.21.
func TestUnitDeclines(t *testing.T) {
	const function, addr, value = modbus.IllegalFunction, modbus.IllegalDataAddress, modbus.IllegalDataValue
	tests := []struct {
		name string
		req  modbus.PDU
		want modbus.Exception
	}{
		{"status with data", modbus.PDU{7, 0}, value},
		{"no sub-function", modbus.PDU{8, 0}, value},
		{"sub-function 5", modbus.PDU{8, 0, 5, 0, 0}, function},
		{"sub-function 19", modbus.PDU{8, 0, 19, 0, 0}, function},
		{"sub-function 257", modbus.PDU{8, 1, 1, 0, 0}, function},
		{"data for a counter", modbus.PDU{8, 0, 11, 0, 1}, value},
		{"restart with other data", modbus.PDU{8, 0, 1, 0, 1}, value},
		{"delimiter in the low byte", modbus.PDU{8, 0, 3, 0, 10}, value},
		{"long register", modbus.PDU{8, 0, 2, 0, 0, 0, 0}, value},
		{"odd loopback", modbus.PDU{8, 0, 0, 0, 0, 0}, value},
		{"counter with data", modbus.PDU{11, 0}, value},
		{"log with data", modbus.PDU{12, 0}, value},
		{"id with data", modbus.PDU{17, 0}, value},
		{"no span", modbus.PDU{20, 0}, value},
		{"part of a span", modbus.PDU{20, 6, 6, 0, 4, 0, 1, 0}, value},
		{"wrong count", modbus.PDU{20, 8, 6, 0, 4, 0, 1, 0, 1}, value},
		{"reference type 5", modbus.PDU{20, 7, 5, 0, 4, 0, 1, 0, 1}, addr},
		{"file 0", modbus.PDU{20, 7, 6, 0, 0, 0, 1, 0, 1}, addr},
		{"record 10000", modbus.PDU{20, 7, 6, 0, 4, 0x27, 0x10, 0, 1}, addr},
		{"missing file", modbus.PDU{20, 7, 6, 0, 9, 0, 1, 0, 1}, addr},
		{"too long an answer", modbus.PDU{20, 7, 6, 0, 4, 0, 1, 0, 122}, value},
		{"write beyond its count", modbus.PDU{21, 9, 6, 0, 4, 0, 1, 0, 2, 0, 0}, value},
		{"write and a byte more", modbus.PDU{21, 10, 6, 0, 4, 0, 7, 0, 1, 0, 0, 9}, value},
		{"write of a part", modbus.PDU{21, 3, 6, 0, 4}, value},
		{"write to a missing register", modbus.PDU{21, 9, 6, 0, 4, 0, 3, 0, 1, 0, 0}, addr},
		{"mask of a missing register", modbus.PDU{22, 0, 99, 0, 0, 0, 0}, addr},
		{"short mask", modbus.PDU{22, 0, 3, 0, 0, 0}, value},
		{"read of none", modbus.PDU{23, 0, 3, 0, 0, 0, 14, 0, 1, 2, 0, 0}, value},
		{"read of 126", modbus.PDU{23, 0, 3, 0, 126, 0, 14, 0, 1, 2, 0, 0}, value},
		{"write of none", modbus.PDU{23, 0, 3, 0, 1, 0, 14, 0, 0, 0}, value},
		{"count of another quantity", modbus.PDU{23, 0, 3, 0, 1, 0, 14, 0, 2, 2, 0, 0}, value},
		{"read of a missing register", modbus.PDU{23, 0, 9, 0, 1, 0, 14, 0, 1, 2, 0, 9}, addr},
		{"read past the end", modbus.PDU{23, 0xFF, 0xFF, 0, 2, 0, 14, 0, 1, 2, 0, 9}, addr},
		{"write to a missing register", modbus.PDU{23, 0, 3, 0, 1, 0, 99, 0, 1, 2, 0, 9}, addr},
		{"missing queue", modbus.PDU{24, 0, 0}, addr},
		{"long queue", modbus.PDU{24, 0, 1}, value},
		{"other encapsulation", modbus.PDU{43, 13, 0, 0}, function},
		{"access 0", modbus.PDU{43, 14, 0, 0}, value},
		{"access 5", modbus.PDU{43, 14, 5, 0}, value},
		{"missing object", modbus.PDU{43, 14, 4, 9}, addr},
		{"short identity", modbus.PDU{43, 14, 1}, value},
		{"exception", modbus.PDU{0x83, 1}, function},
	}
	b := whole()
	b.Queues.Set(1, make([]uint16, 32)...)
	for _, tt := range tests {
		if got, ok := b.Handle(1, tt.req); !ok || !bytes.Equal(got, tt.want.Answer(tt.req)) {
			t.Errorf("%s: % X is answered with % X, want exception %v", tt.name, []byte(tt.req), []byte(got), tt.want)
		}
	}
	if v, _ := b.Get(modbus.HoldingRegisters, 14, 1); v[0] != 0 {
		t.Error("a declined request has written")
	}
	for _, req := range []modbus.PDU{{17}, {20, 7, 6, 0, 4, 0, 1, 0, 1}, {24, 0, 0}, {43, 14, 1, 0}} {
		if got, _ := new(modbus.Bank).Handle(1, req); !bytes.Equal(got, modbus.IllegalFunction.Answer(req)) {
			t.Errorf("an empty unit answers % X with % X", []byte(req), []byte(got))
		}
	}
}

func TestAnswersAreRead(t *testing.T) {
	read := func(name string, got any, err error, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	status, err := modbus.ExceptionStatus(modbus.PDU{7, 0x6D})
	read("status", status, err, uint8(0x6D))
	sub, value, err := modbus.DiagnosticValue(modbus.PDU{8, 0, 14, 1, 2})
	read("diagnostic", []any{sub, value}, err, []any{modbus.DiagServerMessages, uint16(0x102)})
	busy, events, err := modbus.EventCounter(modbus.PDU{0x0B, 0xFF, 0xFF, 1, 8})
	read("event counter", []any{busy, events}, err, []any{true, uint16(0x108)})
	log, err := modbus.ParseEventLog(modbus.PDU{0x0C, 8, 0, 0, 1, 8, 1, 0x21, 0x20, 0})
	read("event log", log, err, modbus.EventLog{Events: 0x108, Messages: 0x121, Log: []byte{0x20, 0}})
	id, err := modbus.ServerID(modbus.PDU{0x11, 3, 'a', 'b', 0xFF})
	read("server id", id, err, []byte("ab\xff"))
	files, err := modbus.FileRegisters(modbus.PDU{0x14, 0x0C, 5, 6, 0x0D, 0xFE, 0, 0x20, 5, 6, 0x33, 0xCD, 0, 0x40})
	read("files", files, err, [][]uint16{{0x0DFE, 0x20}, {0x33CD, 0x40}})
	registers, err := modbus.Registers(modbus.PDU{0x17, 4, 0, 0xFE, 0x0A, 0xCD})
	read("registers", registers, err, []uint16{0xFE, 0xACD})
	queue, err := modbus.Queue(modbus.PDU{0x18, 0, 6, 0, 2, 1, 0xB8, 0x12, 0x84})
	read("queue", queue, err, []uint16{0x1B8, 0x1284})
	identity, err := modbus.ParseIdentity(modbus.PDU{0x2B, 14, 2, 0x82, 0xFF, 5, 1, 4, 2, 'o', 'k'})
	read("identity", identity, err, modbus.Identity{
		Access: modbus.RegularIdentity, Conformity: 0x82, More: true, Next: modbus.ModelName,
		Objects: []modbus.Object{{ID: modbus.ProductName, Value: "ok"}},
	})
}

func TestAnswersThatLieAboutTheirLengthAreRefused(t *testing.T) {
	for _, p := range []modbus.PDU{
		nil,
		{7},
		{7, 0, 0},
		{8, 0, 0, 0},
		{11, 0, 0, 0},
		{11, 0, 0, 0, 0, 0},
		{12, 5, 0, 0, 0, 0, 0},
		{12, 7, 0, 0, 0, 0, 0, 0},
		append(modbus.PDU{12, 71}, make([]byte, 71)...),
		{17},
		{17, 1},
		{17, 0, 0},
		{20, 2, 1, 6, 0},
		{20, 2, 2, 6},
		{20, 2, 1, 5},
		{20, 2, 3, 6},
		{20, 1, 0},
		{23, 1, 0},
		{23, 4, 0, 0},
		{24, 0, 2, 0, 1},
		{24, 0, 4, 0, 0, 0, 0},
		{24, 0, 3, 0, 0, 0},
		{24, 1, 2, 0, 0},
		append(modbus.PDU{24, 0, 66, 0, 32}, make([]byte, 64)...),
		{43, 14, 1, 1, 0, 0},
		{43, 14, 1, 1, 0, 0, 1},
		{43, 14, 1, 1, 0, 0, 1, 0, 2, 'a'},
		{43, 14, 1, 1, 0, 0, 0, 0},
		{43, 13, 1, 1, 0, 0, 0},
		{0x91, 1},
		{0xAB, 1},
	} {
		_, errs := error(nil), []error{}
		note := func(err error) { errs = append(errs, err) }
		_, err := modbus.ExceptionStatus(p)
		note(err)
		_, _, err = modbus.DiagnosticValue(p)
		note(err)
		_, _, err = modbus.EventCounter(p)
		note(err)
		_, err = modbus.ParseEventLog(p)
		note(err)
		_, err = modbus.ServerID(p)
		note(err)
		_, err = modbus.FileRegisters(p)
		note(err)
		_, err = modbus.Registers(p)
		note(err)
		_, err = modbus.Queue(p)
		note(err)
		_, err = modbus.ParseIdentity(p)
		note(err)
		if i := slices.Index(errs, nil); i >= 0 {
			t.Errorf("parser %d takes % X", i, []byte(p))
		}
	}
}

func TestAnswerMustBeOfItsRequest(t *testing.T) {
	spans := must(modbus.ReadFileRecords(modbus.FileSpan{File: 4, Record: 1, Quantity: 2}, modbus.FileSpan{File: 4, Record: 1, Quantity: 1}))
	tests := []struct {
		req  modbus.PDU
		good modbus.PDU
		bad  []modbus.PDU
	}{
		{modbus.PDU{1, 0, 0, 0, 9}, modbus.PDU{1, 2, 0, 0}, []modbus.PDU{{1, 1, 0}, {1, 2, 0}, {2, 2, 0, 0}, {0x82, 1}, {0x81, 0}, {0x81}, nil}},
		{modbus.PDU{16, 0, 1, 0, 1, 2, 0, 0}, modbus.PDU{16, 0, 1, 0, 1}, []modbus.PDU{{16, 0, 2, 0, 1}, {16, 0, 1, 0, 2}}},
		{modbus.PDU{15, 0, 1, 0, 1, 1, 0}, modbus.PDU{15, 0, 1, 0, 1}, []modbus.PDU{{15, 0, 0, 0, 1}, {15, 0, 1, 0, 2}}},
		{modbus.PDU{6, 0, 1, 0, 1}, modbus.PDU{6, 0, 1, 0, 1}, []modbus.PDU{{6, 0, 1, 0, 2}, {6, 0, 1, 0, 1, 0}}},
		{modbus.PDU{7}, modbus.PDU{7, 9}, []modbus.PDU{{7}, {7, 9, 9}}},
		{modbus.PDU{8, 0, 0, 1, 2}, modbus.PDU{8, 0, 0, 1, 2}, []modbus.PDU{{8, 0, 0, 1, 3}, {8, 0, 0, 1, 2, 3, 4}}},
		{modbus.PDU{8, 0, 11, 0, 0}, modbus.PDU{8, 0, 11, 1, 2}, []modbus.PDU{{8, 0, 12, 1, 2}, {8, 0, 11, 1}}},
		{modbus.PDU{11}, modbus.PDU{11, 0, 0, 1, 2}, []modbus.PDU{{11, 0, 0, 1}, {12, 0, 0, 1, 2}}},
		{modbus.PDU{12}, modbus.PDU{12, 6, 0, 0, 0, 0, 0, 0}, []modbus.PDU{{12, 7, 0, 0, 0, 0, 0, 0}}},
		{modbus.PDU{17}, modbus.PDU{17, 1, 0xFF}, []modbus.PDU{{17, 1}, {17}, {17, 0, 0}}},
		{spans, modbus.PDU{20, 10, 5, 6, 1, 2, 3, 4, 3, 6, 5, 6}, []modbus.PDU{{20, 10, 3, 6, 5, 6, 5, 6, 1, 2, 3, 4}, {20, 10, 5, 7, 1, 2, 3, 4, 3, 6, 5, 6}, {20, 6, 5, 6, 1, 2, 3, 4}}},
		{modbus.PDU{22, 0, 1, 0, 1, 0, 1}, modbus.PDU{22, 0, 1, 0, 1, 0, 1}, []modbus.PDU{{22, 0, 1, 0, 1, 0, 2}}},
		{modbus.PDU{23, 0, 1, 0, 2, 0, 7, 0, 1, 2, 0, 9}, modbus.PDU{23, 4, 0, 1, 0, 2}, []modbus.PDU{{23, 2, 0, 1}}},
		{modbus.PDU{24, 0, 7}, modbus.PDU{24, 0, 4, 0, 1, 0, 9}, []modbus.PDU{{24, 1, 4, 0, 1, 0, 9}, {24, 0, 4, 0, 1, 0}}},
		{modbus.PDU{43, 14, 1, 0}, modbus.PDU{43, 14, 1, 1, 0, 0, 1, 0, 1, 'a'}, []modbus.PDU{{43, 14, 2, 1, 0, 0, 1, 0, 1, 'a'}, {43, 14, 1, 1, 0, 0, 2, 0, 1, 'a'}, {43, 13, 1}}},
		{modbus.PDU{3, 0x1B, 0x59, 0, 1}, modbus.PDU{3, 4, 0, 0, 0, 0}, []modbus.PDU{{3, 2, 0, 0}}},
		{modbus.PDU{3, 2, 0xBD, 0, 1}, modbus.PDU{3, 2, 0, 0}, []modbus.PDU{{3, 2, 0}, {3, 4, 0, 0}}},
	}
	d := modbus.Enron()
	for _, tt := range tests {
		if !d.Answers(tt.req, tt.good) || !d.Answers(tt.req, modbus.ServerDeviceBusy.Answer(tt.req)) {
			t.Errorf("% X does not answer % X", []byte(tt.good), []byte(tt.req))
		}
		for _, bad := range tt.bad {
			if d.Answers(tt.req, bad) {
				t.Errorf("% X answers % X", []byte(bad), []byte(tt.req))
			}
		}
	}
	if d.Answers(modbus.PDU{99}, modbus.PDU{99}) || d.Answers(nil, nil) {
		t.Error("an unknown request is answered")
	}
}

// asked lets a unit answer without a line.
func asked(h modbus.Handler) func(modbus.PDU) (modbus.PDU, error) {
	return func(req modbus.PDU) (modbus.PDU, error) {
		resp, ok := h.Handle(1, req)
		if !ok {
			return nil, modbus.ErrTimeout
		}
		return resp, nil
	}
}

func TestIdentityInSeveralAnswers(t *testing.T) {
	var b modbus.Bank
	var objects []modbus.Object
	for _, id := range []modbus.ObjectID{0, 1, 2, 3, 6, 0x7F, 0x80, 0xFF} {
		objects = append(objects, modbus.Object{ID: id, Value: strings.Repeat(string(rune('a'+id%26)), 20+int(id)%225)})
	}
	b.Identity.SetObjects(objects...)
	for access, n := range map[modbus.Access]int{modbus.BasicIdentity: 3, modbus.RegularIdentity: 6, modbus.ExtendedIdentity: 8} {
		got, err := modbus.Identify(asked(&b), access)
		if diff := cmp.Diff(objects[:n], got); err != nil || diff != "" {
			t.Errorf("access %d: %v\n%s", access, err, diff)
		}
	}
	// An object that isn't there is as if none had been named.
	resp, _ := b.Handle(1, modbus.ReadIdentity(modbus.BasicIdentity, 5))
	if got, err := modbus.ParseIdentity(resp); err != nil || got.Objects[0].ID != 0 || got.Conformity != 0x83 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestIdentityThatNeverEndsIsRefused(t *testing.T) {
	times := 0
	_, err := modbus.Identify(func(req modbus.PDU) (modbus.PDU, error) {
		times++
		return modbus.PDU{43, 14, 1, 1, 0xFF, 2, 0}, nil
	}, modbus.BasicIdentity)
	if err == nil || times != 2 {
		t.Errorf("asked %d times: %v", times, err)
	}
	if _, err := modbus.Identify(func(modbus.PDU) (modbus.PDU, error) { return nil, modbus.ErrTimeout }, 1); !errors.Is(err, modbus.ErrTimeout) {
		t.Error(err)
	}
	if _, err := modbus.Identify(func(modbus.PDU) (modbus.PDU, error) { return modbus.PDU{43}, nil }, 1); err == nil {
		t.Error("half an answer passes")
	}
}

func TestUnitKeepsBooksOfItsRequests(t *testing.T) {
	b := whole()
	say := func(unit modbus.UnitID, req modbus.PDU) modbus.PDU {
		resp, _ := b.Handle(unit, req)
		return resp
	}
	say(1, modbus.ReadExceptionStatus())
	say(1, modbus.ReadQueue(0)) // declined
	say(1, modbus.GetEventCounter())
	say(modbus.Broadcast, modbus.WriteRegister(3, 1))
	b.Diagnostics.Count(func(c *modbus.BusCounters) { c.BusErrors, c.BusMessages = 3, c.BusMessages+10 })
	log := must(modbus.ParseEventLog(say(1, modbus.GetEventLog())))
	want := modbus.EventLog{Events: 2, Messages: 5, Log: []byte{0x80, 0xC0, 0x40, 0x80, 0x41, 0x80, 0x40, 0x80}}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	for sub, want := range map[modbus.Diagnostic]uint16{
		modbus.DiagBusErrors: 3, modbus.DiagBusExceptions: 1, modbus.DiagServerNoResponse: 1, modbus.DiagServerNAK: 0, modbus.DiagServerBusy: 0, modbus.DiagOverruns: 0,
	} {
		if _, got, err := modbus.DiagnosticValue(say(1, modbus.Diagnose(sub, 0))); err != nil || got != want {
			t.Errorf("sub-function %d: %d, %v, want %d", sub, got, err, want)
		}
	}
	if _, got, _ := modbus.DiagnosticValue(say(1, modbus.Diagnose(modbus.DiagBusMessages, 0))); got != 10+5+6+1 {
		t.Errorf("%d messages on the line", got)
	}
	if got := say(1, modbus.Diagnose(modbus.DiagDelimiter, 0x0A00)); !bytes.Equal(got, modbus.PDU{8, 0, 3, 0x0A, 0}) {
		t.Errorf("another delimiter: % X", []byte(got))
	}
	say(1, modbus.Diagnose(modbus.DiagClear, 0))
	if _, got, _ := modbus.DiagnosticValue(say(1, modbus.Diagnose(modbus.DiagServerMessages, 0))); got != 1 {
		t.Errorf("%d requests after all counters were cleared", got)
	}
	if _, events, _ := modbus.EventCounter(say(1, modbus.GetEventCounter())); events != 2 {
		t.Errorf("%d events since then", events)
	}
	b.Diagnostics.Count(func(c *modbus.BusCounters) { c.Overruns = 5 })
	say(1, modbus.Diagnose(modbus.DiagClearOverruns, 0))
	if _, got, _ := modbus.DiagnosticValue(say(1, modbus.Diagnose(modbus.DiagOverruns, 0))); got != 0 {
		t.Errorf("%d overruns after they were cleared", got)
	}
	for range 100 {
		say(1, modbus.ReadExceptionStatus())
	}
	if log := must(modbus.ParseEventLog(say(1, modbus.GetEventLog()))); len(log.Log) != 64 {
		t.Errorf("%d events in the log", len(log.Log))
	}
	say(1, modbus.Diagnose(modbus.DiagRestart, 0xFF00))
	if log := must(modbus.ParseEventLog(say(1, modbus.GetEventLog()))); !bytes.Equal(log.Log, []byte{0x80, 0x40, 0}) {
		t.Errorf("log after a restart: % X", log.Log)
	}
}

func TestFilesOfAUnit(t *testing.T) {
	b := whole()
	b.Files.Set(1, 9998, 5, 6, 7)
	for span, want := range map[modbus.FileSpan][]uint16{
		{File: 1, Record: 9998, Quantity: 2}: {5, 6},
		{File: 1, Record: 9998, Quantity: 3}: nil,
		{File: 4, Record: 1, Quantity: 2}:    {0x0DFE, 0x20},
		{File: 4, Record: 1, Quantity: 3}:    nil,
		{File: 4, Record: 1}:                 nil,
		{File: 0, Record: 1, Quantity: 1}:    nil,
	} {
		if got, ok := b.Files.Get(span); ok != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("%+v: %v, %v, want %v", span, got, ok, want)
		}
	}
	// One record that can't be written keeps all from being written.
	b.Handle(1, must(modbus.WriteFileRecords(
		modbus.FileRecord{File: 4, Record: 1, Registers: []uint16{9}}, modbus.FileRecord{File: 4, Record: 99, Registers: []uint16{9}},
	)))
	if got, _ := b.Files.Get(modbus.FileSpan{File: 4, Record: 1, Quantity: 1}); got[0] != 0x0DFE {
		t.Error("half of a request has been obeyed")
	}
}

// A unit in listen-only mode hears nothing but the restart, and even that it
// doesn't answer.
func TestListenOnlyModeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := modbus.NewClient(serve(t, modbus.RTU, whole()), modbus.RTU, slow)
		status := modbus.ReadExceptionStatus()
		mustDo(t, c, status)
		mustFail(t, c, modbus.Diagnose(modbus.DiagListenOnly, 0), modbus.ErrTimeout)
		mustFail(t, c, status, modbus.ErrTimeout)
		mustFail(t, c, modbus.Diagnose(modbus.DiagRestart, 0), modbus.ErrTimeout)
		mustDo(t, c, status)
		mustDo(t, c, modbus.Diagnose(modbus.DiagLoopback, 1))
	})
}
