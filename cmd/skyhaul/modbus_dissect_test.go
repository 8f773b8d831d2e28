package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	hear "skyhaul/modbus/listen"
	"skyhaul/modbus/tap"
)

// aTap is an own read of two registers, another client's read and a damaged answer.
const aTap = `skyhaul tap 1
framing: rtu
baud: 9600
character: 8N1

0.050000 > 01 03 00 64 00 02 85 D4
0.070000 < 01 03 04 41 BC
0.075000 < 00 00 2F EB
1.000000 < 03 04 00 00 00 01 30 28
1.020000 < 03 84 02 63 01
2.000000 > 01 03 00 64 00 02 85 D4
2.020000 < 01 03 04 41 BC 00 00 2F EA
`

// meanings dissects chunks and returns what the frames say.
func meanings(h tap.Header, chunks []tap.Chunk) (out []string) {
	h.Begun = time.Unix(1000, 0)
	d := newDissector(h)
	feed := func(at time.Duration, way tap.Direction, b []byte) {
		for _, f := range d.feed(h.Begun.Add(at), way, b) {
			out = append(out, fmt.Sprintf("%c %s", f.direction, f.meaning()))
		}
	}
	var last time.Duration
	for _, c := range chunks {
		feed(c.At, c.Direction, c.Bytes)
		last = c.At
	}
	feed(last+longSilence, tap.Received, nil)
	return out
}

func TestFramesOfACaptureSayWhatPassed(t *testing.T) {
	h, chunks, err := tap.Read(strings.NewReader(aTap))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"> unit 1 read holding 40101-40102 (wire 100)",
		"< unit 1 holding 40101-40102 = 16828 0",
		"< unit 3 read input 30001 (wire 0)",
		"< unit 3 read: exception 02: illegal data address",
		"> unit 1 read holding 40101-40102 (wire 100)",
		"< WRONG CHECKSUM, else an answer of unit 1, read",
	}
	if diff := cmp.Diff(want, meanings(h, chunks)); diff != "" {
		t.Error(diff)
	}
}

func TestFramesOfOtherFramings(t *testing.T) {
	chunk := func(d tap.Direction, b string) tap.Chunk { return tap.Chunk{Direction: d, Bytes: []byte(b)} }
	unhex := func(s string) string {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		framing modbus.Framing
		chunks  []tap.Chunk
		want    []string
	}{
		"tcp": {
			modbus.TCP,
			[]tap.Chunk{
				chunk(tap.Sent, unhex("00 01 00 00 00 06 01 06 00 64 00 07")),
				chunk(tap.Sent, unhex("00 02 00 00 00 06 01 01 00 00 00 0A")),
				chunk(tap.Received, unhex("00 02 00 00 00 05 01 01 02 CD 01 00 01 00 00")), // out of order, in pieces
				chunk(tap.Received, unhex("00 06 01 06 00 64 00 07")),
				chunk(tap.Received, "HTTP/1.1 400 Bad Request\r\n"),
			},
			[]string{
				"> unit 1 write holding 40101 (wire 100) = 7",
				"> unit 1 read coil 1-10 (wire 0)",
				"< unit 1 coil 1-10 = 1011001110",
				"< unit 1 has written holding 40101 (wire 100)",
				"< NOISE, 26 bytes of no frame",
			},
		},
		"ascii": {
			modbus.ASCII,
			[]tap.Chunk{
				chunk(tap.Sent, ":030300000004F6\r\n"),
				chunk(tap.Received, ":0303080000000100"),
				chunk(tap.Received, "020003EC\r\n"),
				chunk(tap.Sent, ":0305000AFF00EF\r\n"),
				chunk(tap.Received, ":0305000AFF00EF\r\n"), // its echo, or so it seems
				chunk(tap.Received, ":0305000AFF00EE\r\n"),
			},
			[]string{
				"> unit 3 read holding 40001-40004 (wire 0)",
				"< unit 3 holding 40001-40004 = 0 1 2 3",
				"> unit 3 write coil 11 (wire 10) = on",
				"< unit 3 echo of the request",
				"< NOISE, 17 bytes of no frame",
			},
		},
	} {
		if diff := cmp.Diff(c.want, meanings(tap.Header{Framing: c.framing}, c.chunks)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestTimesNeverRunBackwards(t *testing.T) {
	// A busy computer fetches late, and then all at once.
	begun := time.Unix(1000, 0)
	d := newDissector(tap.Header{Begun: begun, Framing: modbus.RTU, Baud: 1200, Character: "8N1"})
	last := begun
	for _, b := range []string{"\x01\x03\x00\x64\x00\x02\x85\xD4", "\x01\x03\x04\x41\xBC\x00\x00\x2F\xEB"} {
		for _, f := range d.feed(begun.Add(time.Millisecond), tap.Received, []byte(b)) {
			if f.At.Before(last) || f.end.Sub(f.At) != time.Duration(len(b))*10*(time.Second/1200) {
				t.Errorf("%s from %v to %v, after %v", f.meaning(), f.At.Sub(begun), f.end.Sub(begun), last.Sub(begun))
			}
			last = f.end
		}
	}
	if last == begun {
		t.Error("no frame")
	}
}

func TestACaptureRunsThroughClientAndListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, chunks, err := tap.Read(strings.NewReader(aTap))
		if err != nil {
			t.Fatal(err)
		}
		req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 100, 2)
		if err != nil {
			t.Fatal(err)
		}
		client := modbus.NewClient(tap.NewReplay(chunks), h.Framing, h.Timing())
		a, err := client.Do(t.Context(), 1, req, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("% X", []byte(a.PDU)), "03 04 41 BC 00 00"; got != want {
			t.Errorf("the client has %s, want %s", got, want)
		}

		d := hear.NewDecoder(h.Timing())
		var answers int
		for _, c := range chunks {
			for _, f := range d.Feed(time.Unix(1000, 0).Add(c.At), c.Bytes) {
				if f.Kind == hear.Answer {
					answers++
				}
			}
		}
		if answers != 2 {
			t.Errorf("the listener has %d answers, want 2", answers)
		}
	})
}

func TestRulerNamesTheFields(t *testing.T) {
	long := append([]byte{1, 3, 40}, make([]byte, 42)...)
	for _, c := range []struct {
		frame []byte
		kind  hear.Kind
		want  string
	}{
		{[]byte{1, 3, 0, 100, 0, 2, 0x85, 0xD4}, hear.Request, "01 03 00 64 00 02 85 D4\nun fc addr  count crc"},
		{[]byte{1, 6, 0, 100, 0, 2, 0x85, 0xD4}, hear.Answer, "01 06 00 64 00 02 85 D4\nun fc addr  value crc"},
		{[]byte{1, 0x83, 2, 0xC0, 0xF1}, hear.Answer, "01 83 02 C0 F1\nun fc ex crc"},
		{long, hear.Answer, "01 03 28" + strings.Repeat(" 00", 17) + "\nun fc n  data\n" + strings.TrimSpace(strings.Repeat(" 00", 20)) + "\n" + strings.TrimSpace(strings.Repeat(" 00", 5)) + "\n         crc"},
		{[]byte{9, 9}, hear.Noise, "09 09"},
	} {
		f := traced{Frame: hear.Frame{Bytes: c.frame, Kind: c.kind}}
		if len(c.frame) > 3 {
			f.PDU = c.frame[1 : len(c.frame)-2]
		}
		if diff := cmp.Diff(c.want, strings.Join(ruled(f.Bytes, f.fields(modbus.RTU)), "\n")); diff != "" {
			t.Errorf("% X:\n%s", c.frame, diff)
		}
	}
}

// FuzzTrace: whatever passes, every byte is shown once and in order.
func FuzzTrace(f *testing.F) {
	f.Add([]byte(aTap), uint8(modbus.RTU))
	f.Add([]byte("skyhaul tap 1\nframing: tcp\n\n0.000000 > 00 01 00 00 00 06 01 03 00 64 00 02\n0.000001 < 00 01 00 00 00 03 01 83 02\n"), uint8(modbus.TCP))
	f.Add([]byte("skyhaul tap 1\nframing: ascii\n\n0.000000 < 3A 30 33 30 33\n0.500000 < 0D 0A\n"), uint8(modbus.ASCII))
	f.Fuzz(func(t *testing.T, text []byte, framing uint8) {
		h, chunks, err := tap.Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		h.Framing = modbus.Framing(framing % 5)
		var out, screen bytes.Buffer
		told, printed := newTrace(&out, true, h), newTrace(&screen, false, h)
		passed := map[string]string{} // by direction; "" is both
		for _, c := range chunks {
			passed[string(rune(c.Direction))] += string(c.Bytes)
			passed[""] += string(c.Bytes)
			told.chunk(c)
			printed.chunk(c)
		}
		if err := errors.Join(told.end(), printed.end()); err != nil {
			t.Fatal(err)
		}
		shown := shownBytes(t, &out)
		if h.Framing != modbus.TCP && shown[""] != passed[""] {
			t.Errorf("% X passed, % X is shown", passed[""], shown[""])
		}
		for way, b := range shown { // on TCP the two ways are apart
			if h.Framing == modbus.TCP && way != "" && !strings.HasPrefix(passed[way], b) {
				t.Errorf("%s: % X passed, % X is shown", way, passed[way], b)
			}
		}
	})
}

// shownBytes returns the bytes of the frames of a trace, by direction.
func shownBytes(t *testing.T, out *bytes.Buffer) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for d := json.NewDecoder(out); d.More(); {
		var frame jsonFrame
		if err := d.Decode(&frame); err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(frame.Bytes, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		shown[""] += string(b)
		if frame.Direction != "" {
			shown[frame.Direction] += string(b)
		}
	}
	return shown
}
