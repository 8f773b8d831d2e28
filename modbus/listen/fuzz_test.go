package listen

import (
	"bytes"
	"testing"
	"time"

	"skyhaul/modbus"
)

// What is heard is neither lost nor made up, whatever it is and however it is cut;
// and an answer is paired with a request that was heard, of its unit, and that it
// can answer.
func FuzzDecoder(f *testing.F) {
	near, answer := seal(1, 3, 0, 0, 0, 2), seal(1, holding(2, 7)...)
	f.Add(append(bytes.Clone(near), answer...), byte(3))
	f.Add(append(append(bytes.Clone(near), 0xFF), answer...), byte(1))
	f.Add(append(seal(1, 1, 3, 0, 0, 24), seal(1, 1, 3, 0, 0, 1)...), byte(200))
	f.Add(append(seal(2, 43, 14, 1, 0), seal(2, 43, 14, 1, 1, 0, 0, 1, 0, 1, 'a')...), byte(4))
	f.Add(append(seal(3, 6, 0x1B, 0x58, 0, 0, 0, 1), seal(3, 6, 0x1B, 0x58, 0, 0, 0, 1)...), byte(5))
	f.Add(bytes.Repeat([]byte{1, 3, 0xFA}, 300), byte(9))
	f.Fuzz(func(t *testing.T, heard []byte, step byte) {
		heard = heard[:min(len(heard), 4*keep)]
		for _, timing := range []modbus.LineTiming{{}, line19200} {
			d := NewDecoder(timing)
			d.Speak(3, modbus.Enron())
			at := epoch
			d.Feed(at, nil)
			at = at.Add(time.Minute)
			var told []byte
			requests := map[modbus.UnitID][]modbus.PDU{}
			check := func(frames []Frame) {
				for _, f := range frames {
					told = append(told, f.Bytes...)
					switch {
					case f.Kind == Noise:
						continue
					case !intact(f.Bytes):
						t.Errorf("%v % X is damaged", f.Kind, f.Bytes)
					case f.Request != nil && !contains(requests[f.Unit], f.Request):
						t.Errorf("% X answers % X, which nobody asked", f.Bytes, f.Request)
					case f.Request != nil && !d.dialects[f.Unit].Answers(f.Request, f.PDU):
						t.Errorf("% X can't answer % X", f.Bytes, f.Request)
					}
					requests[f.Unit] = append(requests[f.Unit], f.PDU)
				}
			}
			for rest := heard; len(rest) > 0; {
				n := min(len(rest), 1+int(step))
				check(d.Feed(at, rest[:n]))
				rest, at = rest[n:], at.Add(5*time.Millisecond)
				if len(d.in) > 2*keep {
					t.Fatalf("%d bytes kept", len(d.in))
				}
			}
			check(d.Feed(at.Add(time.Hour), nil))
			if !bytes.Equal(told, heard) {
				t.Errorf("told % X of % X", told, heard)
			}
		}
	})
}

func contains(all []modbus.PDU, p modbus.PDU) bool {
	for _, q := range all {
		if bytes.Equal(p, q) {
			return true
		}
	}
	return false
}

// BenchmarkNoise is what a byte costs that belongs to no frame but could, heard
// alone.
func BenchmarkNoise(b *testing.B) {
	d := NewDecoder(line19200)
	noise := []byte{1, 3, 0xFA}
	for i := 0; b.Loop(); i++ {
		d.Feed(epoch, noise[i%3:][:1])
	}
}
