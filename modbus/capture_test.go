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
	if len(all) < 80 {
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
		if _, _, _, err := frameTCP(c.bytes); err == nil {
			t.Errorf("% X passed for a frame", c.bytes)
		}
	}
	if !found {
		t.Error("no captured garbage")
	}
}

func TestCapturedAnswersFitTheirRequests(t *testing.T) {
	fits, declined := 0, 0
	exchanges(t, func(unit UnitID, req, resp PDU) {
		s, err := Dialect(nil).shapeOf(unit, req)
		if err != nil {
			return // another function, or a request that no unit may obey
		}
		if !s.accepts(resp) {
			t.Errorf("% X was answered with % X, which is refused", req, resp)
		}
		if _, ok := resp.exception(); ok {
			declined++
		} else {
			fits++
		}
	})
	if fits < 25 || declined < 1 {
		t.Errorf("only %d answers and %d exceptions", fits, declined)
	}
}

// A real unit declined what ParseRequest refuses, with the same codes.
func TestCapturedMalformedRequestsAreDeclinedTheSameWay(t *testing.T) {
	same := 0
	exchanges(t, func(unit UnitID, req, resp PDU) {
		want, declined := resp.exception()
		_, err := ParseRequest(req)
		got, refused := err.(Exception)
		if declined && refused && maxQuantity(req.Function()) > 0 {
			same++
			if got != want {
				t.Errorf("% X: %v, want %v", req, got, want)
			}
		}
	})
	if same < 6 {
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
