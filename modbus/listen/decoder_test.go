package listen

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"skyhaul/modbus"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// seal returns the RTU frame of a PDU.
func seal(unit modbus.UnitID, pdu ...byte) []byte {
	b := append([]byte{byte(unit)}, pdu...)
	return binary.LittleEndian.AppendUint16(b, modbus.CRC(b))
}

func read(t testing.TB, fc modbus.FunctionCode, addr uint16, quantity int) modbus.PDU {
	t.Helper()
	req, err := modbus.ReadRequest(fc, addr, quantity)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// holding is the answer to a read of registers that all have one value.
func holding(quantity int, value byte) []byte {
	p := []byte{3, byte(2 * quantity)}
	for range quantity {
		p = append(p, 0, value)
	}
	return p
}

// told describes frames: q for a request, a for an answer, A for one that is
// paired, each with its unit; n for noise with its number of bytes.
func told(frames []Frame) string {
	var s []string
	for _, f := range frames {
		switch {
		case f.Kind == Noise:
			s = append(s, fmt.Sprintf("n%d", len(f.Bytes)))
		case f.Kind == Request:
			s = append(s, fmt.Sprintf("q%d", f.Unit))
		case f.Request == nil:
			s = append(s, fmt.Sprintf("a%d", f.Unit))
		default:
			s = append(s, fmt.Sprintf("A%d", f.Unit))
		}
	}
	return strings.Join(s, " ")
}

// sound is a time since the begin of a test and what is heard then.
type sound struct {
	ms    int
	bytes []byte
}

// settled is ten seconds in which nothing was said: no doubt is left.
const settled = 10_000

func TestFramesAreFoundAndPaired(t *testing.T) {
	near := []byte{3, 0, 0, 0, 2}  // two registers from 0 on
	other := []byte{3, 0, 9, 0, 2} // two others
	wide := []byte{3, 0, 0, 0, 3}
	coils := []byte{1, 0, 0, 0, 24}
	coil := []byte{5, 0, 1, 0xFF, 0}
	tests := []struct {
		name  string
		heard []sound // milliseconds after ten seconds of silence
		want  string
	}{
		{"request and answer", []sound{{0, seal(1, near...)}, {20, seal(1, holding(2, 7)...)}}, "q1 A1"},
		{"all in one chunk", []sound{{0, append(seal(1, near...), seal(1, holding(2, 7)...)...)}}, "q1 A1"},
		{"cut in two", []sound{{0, seal(1, near...)}, {20, seal(1, holding(2, 7)...)[:3]}, {60, seal(1, holding(2, 7)...)[3:]}}, "q1 A1"},
		{"exception", []sound{{0, seal(1, near...)}, {20, seal(1, 0x83, 2)}}, "q1 A1"},
		{"a stray byte", []sound{{0, seal(1, near...)}, {20, append([]byte{0xFF}, seal(1, holding(2, 7)...)...)}}, "q1 n1 A1"},
		{"answer of nobody's asking", []sound{{0, seal(1, holding(2, 7)...)}}, "a1"},
		{"another unit answers", []sound{{0, seal(1, near...)}, {20, seal(2, holding(2, 7)...)}}, "q1 a2"},
		{"another length", []sound{{0, seal(1, near...)}, {20, seal(1, holding(3, 7)...)}}, "q1 a1"},
		{"asked again", []sound{{0, seal(1, near...)}, {500, seal(1, near...)}, {520, seal(1, holding(2, 7)...)}}, "q1 q1 A1"},
		{
			"no answer, then another request of the same shape",
			[]sound{{0, seal(1, near...)}, {500, seal(1, other...)}, {520, seal(1, holding(2, 7)...)}},
			"q1 q1 a1",
		},
		{
			"no answer, then a request of another shape, which ends the doubt",
			[]sound{{0, seal(1, near...)}, {500, seal(1, wide...)}, {520, seal(1, holding(3, 7)...)}, {600, seal(1, other...)}, {620, seal(1, holding(2, 7)...)}},
			"q1 q1 A1 q1 A1",
		},
		{
			"no answer, and long after it another request",
			[]sound{{0, seal(1, near...)}, {6000, seal(1, other...)}, {6020, seal(1, holding(2, 7)...)}},
			"q1 q1 A1",
		},
		{
			"answers one behind",
			[]sound{{0, seal(1, near...)}, {500, seal(1, other...)}, {510, seal(1, holding(2, 7)...)}, {600, seal(1, near...)}, {610, seal(1, holding(2, 8)...)}},
			"q1 q1 a1 q1 a1",
		},
		{
			"damage that may have been a request",
			[]sound{{0, []byte{1, 3, 0, 9, 0, 3, 0, 0}}, {500, seal(1, near...)}, {520, seal(1, holding(2, 7)...)}, {6000, seal(1, wide...)}, {6020, seal(1, holding(3, 7)...)}},
			"n8 q1 a1 q1 A1",
		},
		{
			"late, to a client that asks another unit by now",
			[]sound{{0, seal(1, near...)}, {500, seal(2, near...)}, {505, seal(1, holding(2, 7)...)}, {520, seal(2, holding(2, 8)...)}},
			"q1 q2 a1 A2",
		},
		{"a coil is set", []sound{{0, seal(1, coil...)}, {20, seal(1, coil...)}}, "q1 A1"},
		{
			"24 coils whose answer is no request",
			[]sound{{0, seal(1, coils...)}, {20, seal(1, 1, 3, 0xFF, 0xFF, 0xFF)}},
			"q1 A1",
		},
		{
			"24 coils whose answer may be a request",
			[]sound{{0, seal(1, coils...)}, {20, seal(1, 1, 3, 0, 0, 1)}},
			"q1 a1",
		},
		{"a broadcast, then a read", []sound{{0, seal(0, 6, 0, 1, 0, 1)}, {200, seal(1, near...)}, {220, seal(1, holding(2, 7)...)}}, "q0 q1 A1"},
		{"identity", []sound{{0, seal(1, 43, 14, 1, 0)}, {20, seal(1, 43, 14, 1, 1, 0, 0, 2, 0, 2, 'a', 'b', 1, 1, 'c')}}, "q1 A1"},
		{"report of a server's id", []sound{{0, seal(1, 17)}, {20, seal(1, 17, 2, 9, 0xFF)}}, "q1 A1"},
		{"queue", []sound{{0, seal(1, 24, 0, 1)}, {20, seal(1, 24, 0, 4, 0, 1, 0, 5)}}, "q1 A1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(modbus.LineTiming{})
			d.Feed(epoch, nil)
			var frames []Frame
			for _, s := range tt.heard {
				at := epoch.Add(time.Duration(settled+s.ms) * time.Millisecond)
				frames = append(frames, d.Feed(at, s.bytes)...)
			}
			frames = append(frames, d.Feed(epoch.Add(time.Hour), nil)...)
			if got := told(frames); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// On a line, as far as it has a bit rate, time tells more than on a network.
func TestWhatTimeTells(t *testing.T) {
	near := seal(1, 3, 0, 0, 0, 2)
	other := seal(1, 3, 0, 9, 0, 2)
	answer := seal(1, holding(2, 7)...)
	tests := []struct {
		name  string
		heard []sound
		want  string
		asked int // of the last pair, in ms
	}{
		{"a line that was never heard before", []sound{{0, near}, {20, answer}, {900, near}, {920, answer}, {2000, near}, {2020, answer}}, "q1 a1 q1 a1 q1 A1", 2000},
		{
			"silence of a second ends doubt",
			[]sound{{5000, near}, {5300, other}, {6350, near}, {6360, answer}},
			"q1 q1 q1 A1", 6350,
		},
		{
			"a client that waits for longer has slower units",
			[]sound{{5000, near}, {7000, other}, {7100, answer}},
			"q1 q1 a1", 0,
		},
		{
			"time between exchanges is no wait",
			[]sound{{5000, near}, {5001, []byte{9, 9, 9}}, {5020, answer}, {5070, near}, {5080, answer}, {10_000, near}, {13_000, other}, {13_100, answer}},
			"q1 n3 a1 q1 a1 q1 q1 a1", 0,
		},
		{
			"asked when it was asked last, and again when it was not answered",
			[]sound{{5000, []byte{9, 9, 9}}, {5400, near}, {5420, answer}, {5900, near}, {5920, answer}, {6400, near}, {6420, answer}},
			"n3 q1 a1 q1 a1 q1 A1", 6400,
		},
		{"asked when it was not answered", []sound{{5000, near}, {5500, near}, {5520, answer}}, "q1 q1 A1", 5000},
		{
			"an answer with one bit wrong is no request that was missed",
			[]sound{{5000, near}, {5020, damaged(answer)}, {5100, other}, {5120, answer}},
			"q1 n9 q1 A1", 5100,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(line19200)
			d.Feed(epoch, nil)
			var frames []Frame
			asked := 0
			for _, s := range tt.heard {
				frames = append(frames, d.Feed(epoch.Add(time.Duration(s.ms)*time.Millisecond), s.bytes)...)
			}
			frames = append(frames, d.Feed(epoch.Add(time.Hour), nil)...)
			for _, f := range frames {
				if f.Request != nil {
					asked = int(f.Asked.Sub(epoch) / time.Millisecond)
				}
			}
			if got := told(frames); got != tt.want || asked != tt.asked {
				t.Errorf("got %s asked at %d, want %s at %d", got, asked, tt.want, tt.asked)
			}
		})
	}
}

func damaged(frame []byte) []byte {
	frame = slices.Clone(frame)
	frame[len(frame)-4] ^= 0x10
	return frame
}
