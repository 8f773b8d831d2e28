package modbus

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
)

// captured is a line of testdata/captures.txt.
type captured struct {
	kind  byte // '>' request, '<' answer, '!' garbage
	bytes []byte
}

func captures(t testing.TB) (all []captured) {
	t.Helper()
	text, err := os.ReadFile("testdata/captures.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line[1:], " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, captured{line[0], b})
	}
	if len(all) < 350 {
		t.Fatalf("only %d captured frames", len(all))
	}
	return all
}

// exchanges calls f with each captured request and its answer.
func exchanges(t *testing.T, f func(unit UnitID, req, resp PDU)) {
	t.Helper()
	all := captures(t)
	for i := range all[1:] {
		if all[i].kind != '>' || all[i+1].kind != '<' {
			continue
		}
		h, req, _, err := frameTCP(all[i].bytes)
		if err != nil {
			t.Fatal(err)
		}
		_, resp, _, err := frameTCP(all[i+1].bytes)
		if err != nil {
			t.Fatal(err)
		}
		f(h.unit, req, resp)
	}
}

func TestCapturedStreamFallsIntoItsFrames(t *testing.T) {
	for _, step := range []int{1, 7, 1000} {
		var stream, seen []byte
		var want, got [][]byte
		for _, c := range captures(t) {
			if c.kind != '!' {
				want = append(want, c.bytes)
				stream = append(stream, c.bytes...)
			}
		}
		for part := range slices.Chunk(stream, step) {
			seen = append(seen, part...)
			for {
				h, p, length, err := frameTCP(seen)
				if err != nil {
					t.Fatal(err)
				}
				if length == 0 {
					break
				}
				got = append(got, appendTCP(nil, h.transaction, h.unit, p))
				seen = seen[length:]
			}
		}
		if !slices.EqualFunc(got, want, bytes.Equal) || len(seen) > 0 {
			t.Errorf("in steps of %d bytes: %d frames and %d bytes left, want %d frames", step, len(got), len(seen), len(want))
		}
	}
}

func TestStreamOutOfStepIsRefused(t *testing.T) {
	found := false
	for _, c := range captures(t) {
		if c.kind != '!' {
			continue
		}
		found = true
		rest, length, err := c.bytes, 1, error(nil)
		for err == nil && length > 0 {
			_, _, length, err = frameTCP(rest)
			rest = rest[length:]
		}
		if err == nil {
			t.Errorf("% X passed for frames", c.bytes)
		}
	}
	if !found {
		t.Error("no captured garbage")
	}
}

func TestCapturedAnswersFitTheirRequests(t *testing.T) {
	fits, declined := map[FunctionCode]int{}, map[Exception]int{}
	exchanges(t, func(unit UnitID, req, resp PDU) {
		s, err := Dialect(nil).shapeOf(unit, req)
		if err != nil {
			return // another function, or a request that no unit may obey
		}
		if !s.accepts(resp) {
			t.Errorf("% X was answered with % X, which is refused", req, resp)
		}
		if e, ok := resp.exception(); ok {
			declined[e]++
			return
		}
		fits[req.Function()]++
		if n := AnswerLength(resp); n != len(resp) {
			t.Errorf("% X seems to take %d bytes", resp, n)
		}
	})
	for _, fc := range []FunctionCode{1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 22, 23, 24, 43} {
		if fits[fc] == 0 {
			t.Errorf("no answer to function %d", fc)
		}
	}
	if declined[GatewayTarget] == 0 || declined[IllegalDataAddress] == 0 {
		t.Errorf("exceptions %v", declined)
	}
}

// Late, foreign and malformed answers are taken for no others.
func TestCapturedAnswersFitNoOtherRequest(t *testing.T) {
	type exchange struct {
		unit      UnitID
		req, resp PDU
	}
	var all []exchange
	exchanges(t, func(unit UnitID, req, resp PDU) { all = append(all, exchange{unit, req, resp}) })
	for _, x := range all {
		s, err := Dialect(nil).shapeOf(x.unit, x.req)
		if err != nil {
			continue
		}
		for _, y := range all {
			other := y.req.Function() != x.req.Function() && y.resp.Function() != x.req.Function()
			if other && s.accepts(y.resp) {
				t.Errorf("% X is answered by % X", x.req, y.resp)
			}
		}
	}
}

func TestCapturedExceptionWithAByteTooManyIsRefused(t *testing.T) {
	s, err := Dialect(nil).shapeOf(10, request(FuncReadCoils, 1, 3))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range captures(t) {
		if c.kind == '<' && len(c.bytes) == mbapSize+3 && c.bytes[mbapSize] == byte(FuncReadCoils|exceptionBit) {
			found++
			if s.accepts(c.bytes[mbapSize:]) {
				t.Errorf("% X is taken", c.bytes[mbapSize:])
			}
		}
	}
	if found != 2 {
		t.Errorf("found %d", found)
	}
}

func TestCapturedIdentities(t *testing.T) {
	var ids []string
	exchanges(t, func(_ UnitID, _, resp PDU) {
		if id, err := ServerID(resp); err == nil {
			ids = append(ids, string(id))
		}
		if identity, err := ParseIdentity(resp); err == nil {
			for _, o := range identity.Objects {
				ids = append(ids, o.Value)
			}
		}
	})
	want := []string{
		"Zeek Modbus Test-Protocol Parsing is fun!-1.2.3.6\xff",
		"Zeek Modbus Test", "Protocol Parsing is fun!", "1.2.3.6",
		"\x00\xffWingpath Limited",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
}

// A real unit declined what ParseRequest refuses, with the same codes.
func TestCapturedMalformedRequestsAreDeclinedTheSameWay(t *testing.T) {
	same := 0
	exchanges(t, func(unit UnitID, req, resp PDU) {
		want, declined := resp.exception()
		_, err := ParseRequest(req)
		got, refused := err.(Exception)
		if declined && refused && (known(req[:1]) || want == IllegalFunction) {
			same++
			if got != want {
				t.Errorf("% X: %v, want %v", req, got, want)
			}
		}
	})
	if same < 100 {
		t.Errorf("only %d declined requests", same)
	}
}

// The same exchanges, framed for a line.
func TestCapturedAnswersAreFoundOnALine(t *testing.T) {
	exchanges(t, func(unit UnitID, req, resp PDU) {
		want, err := Dialect(nil).shapeOf(unit, req)
		if err != nil {
			return
		}
		frame := appendRTU(nil, unit, resp)
		line := slices.Concat([]byte{0xFF, byte(unit)}, frame, []byte{0})
		for n := range len(frame) + 2 {
			if s := (rtuCodec{}).answer(line[:n], want); s.length > 0 {
				t.Fatalf("% X: found an answer in % X", req, line[:n])
			}
		}
		if s := (rtuCodec{}).answer(line, want); s.start != 2 || s.length != len(frame) {
			t.Errorf("% X: found %d bytes at %d in % X", req, s.length, s.start, line)
		}
	})
}
