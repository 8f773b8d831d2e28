package sim

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"skyhaul/modbus"
)

// lateness is by how much things came later than by theory.
type lateness []time.Duration

func (l lateness) report(b *testing.B, what string) {
	slices.Sort(l)
	var sum time.Duration
	for _, d := range l {
		sum += d
	}
	for name, d := range map[string]time.Duration{
		"median": l[len(l)/2], "mean": sum / time.Duration(len(l)), "worst": max(l[len(l)-1], -l[0]),
	} {
		b.ReportMetric(float64(d.Microseconds()), "µs-"+name+"/"+what)
	}
}

// An answer of 45 bytes on a pty: how far each byte and the last one are from
// when a line would have had them, counted from the client's write.
func BenchmarkPace(b *testing.B) {
	for _, baud := range []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200} {
		b.Run(strconv.Itoa(baud), func(b *testing.B) {
			timing := LineSettings{Baud: baud}.or(LineSettings{}).Timing()
			_, link := onPTY(b, Options{Timing: timing, Units: unitOf(), Turnaround: 2 * time.Millisecond})
			tty := openTTY(b, link)
			begin := timing.Wire(8) + timing.T35() + 2*time.Millisecond
			request := frame(modbus.RTU, 1, modbus.PDU{3, 0, 0, 0, 20})
			var bytes, frames lateness
			for b.Loop() {
				late := arrivals(b, tty, request, 45)
				for i, at := range late {
					late[i] = at - begin - timing.Wire(i+1)
					bytes = append(bytes, late[i])
				}
				frames = append(frames, late[44])
				time.Sleep(timing.T35())
			}
			b.ReportMetric(float64((begin + timing.Wire(45)).Microseconds()), "µs-theory")
			bytes.report(b, "byte")
			frames.report(b, "frame")
		})
	}
}

// arrivals returns when each of n bytes came after a request.
func arrivals(b *testing.B, tty *os.File, request []byte, n int) (at []time.Duration) {
	began := time.Now()
	if _, err := tty.Write(request); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, n)
	for len(at) < n {
		k, err := tty.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		for range k {
			at = append(at, time.Since(began))
		}
	}
	return at
}
