package model

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// streams make n records each as they come in a lane.
var streams = []struct {
	name string
	make func(r *rand.Rand, n int) [][]byte
}{
	{"events", events},
	{"JSON", jsonMessages},
	{"Sparkplug", sparkplugMessages},
	{"notes", notes},
	{"archive", archives},
}

// source gives stamps as package point writes them.
type source struct {
	r    *rand.Rand
	boot uint64 // ms
	off  int64  // of the wall time
}

func newSource(r *rand.Rand) *source { return &source{r, 86_400_000, 1_763_000_000_000} }

// stamp appends one that is about mean ms after the one before.
func (c *source) stamp(dst []byte, mean float64) []byte {
	c.boot += 1 + uint64(c.r.ExpFloat64()*mean)
	if c.r.IntN(20) == 0 {
		c.off += int64(c.r.IntN(5)) - 2
	}
	return appendStamp(dst, c.boot, c.off+int64(c.boot))
}

func appendStamp(dst []byte, boot uint64, wall int64) []byte {
	dst = append(dst, 0, 6, 17)
	dst = binary.AppendUvarint(dst, boot)
	return binary.AppendVarint(dst, wall)
}

func text(dst []byte, s string) []byte { return append(append(dst, byte(len(s))), s...) }

// events makes alarm transitions as package point writes them.
func events(r *rand.Rand, n int) (recs [][]byte) {
	c := newSource(r)
	type pt struct {
		id     uint64
		tag    string
		float  bool
		limit  float64
		cond   string
		active byte
	}
	var points []*pt
	for i := range 24 {
		p := &pt{id: uint64(100 + 3*i), float: i%3 == 0, limit: float64(20 + 5*(i%7))}
		p.tag = fmt.Sprintf("%s-%d%02d", []string{"PT", "TT", "FT", "LT"}[i%4], 1+i%3, i)
		p.cond = []string{"hi", "hihi", "lo", "bad"}[(i/2)%4]
		points = append(points, p)
	}
	for range n {
		p := points[int(r.ExpFloat64()*5)%len(points)]
		p.active ^= 1
		b := c.stamp([]byte{2}, 120_000)
		b = binary.AppendUvarint(b, p.id)
		v := p.limit + r.ExpFloat64()*0.5 - 0.6*float64(1-p.active)
		raw, kind := uint64(v*100), byte(3)
		value := float64(raw) * 0.01
		if p.float {
			raw, kind = uint64(math.Float32bits(float32(v))), 10
			value = float64(float32(v))
		}
		b = append(b, p.active, kind, 0)
		b = binary.BigEndian.AppendUint64(b, raw)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(value))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(p.limit))
		recs = append(recs, text(text(b, p.tag), p.cond))
	}
	return recs
}

// jsonMessages makes bridged messages of several devices: stamp, topic, payload.
func jsonMessages(r *rand.Rand, n int) (recs [][]byte) {
	c := newSource(r)
	walk := make([]float64, 64)
	step := func(i int, s float64) float64 { walk[i] += r.NormFloat64() * s; return walk[i] }
	for i := range n {
		b := c.stamp([]byte{3}, 5000)
		dev := r.IntN(6)
		ts := c.off + int64(c.boot) - int64(r.IntN(300))
		switch {
		case dev < 4:
			b = text(b, fmt.Sprintf("plant/north/pump%d/telemetry", dev+1))
			b = fmt.Appendf(b, `{"ts":%d,"device":"pump%d","seq":%d,"values":{"temperature":%.2f,"pressure":%.3f,"flow":%.1f,"vibration":%.4f,"running":%v},"status":"OK"}`,
				ts, dev+1, i, 55+step(dev, .1), 12+step(dev+4, .02), 340+step(dev+8, 1.5), 0.02+0.001*r.ExpFloat64(), r.IntN(40) != 0)
		case dev == 4:
			b = text(b, "tele/tank/SENSOR")
			b = fmt.Appendf(b, `{"Time":"2026-11-%02dT%02d:%02d:%02d","Level":{"Percent":%.1f,"Raw":%d},"BME280":{"Temperature":%.1f,"Humidity":%.1f,"Pressure":%.1f},"PressureUnit":"hPa","TempUnit":"C"}`,
				1+c.boot/86_400_000, c.boot/3_600_000%24, c.boot/60_000%60, c.boot/1000%60, 40+step(20, .1), 2000+int(step(21, 4)), 11+step(22, .1), 60+step(23, .2), 1013+step(24, .1))
		default:
			b = text(b, "zigbee2mqtt/door")
			b = fmt.Appendf(b, `{"battery":%d,"contact":%v,"linkquality":%d,"tamper":false,"voltage":%d}`, 97-i/400, r.IntN(2) == 0, 80+r.IntN(40), 3005-5*r.IntN(4))
		}
		recs = append(recs, b)
	}
	return recs
}

// sparkplugMessages makes those of Sparkplug B, with the metrics that changed.
func sparkplugMessages(r *rand.Rand, n int) (recs [][]byte) {
	c := newSource(r)
	walk := make([]float64, 64)
	for i := range n {
		b := c.stamp([]byte{3}, 10000)
		dev := r.IntN(3)
		b = text(b, fmt.Sprintf("spBv1.0/field7/DDATA/rtu12/skid%d", dev+1))
		now := uint64(c.off) + c.boot - uint64(r.IntN(100))
		b = binary.AppendUvarint(append(b, 8), now)
		for k := range 14 {
			if r.IntN(3) == 0 {
				continue
			}
			j := dev*14 + k
			walk[j] += r.NormFloat64() * 0.3
			m := binary.AppendUvarint([]byte{0x10}, uint64(200+j))
			m = binary.AppendUvarint(append(m, 0x18), now-uint64(r.IntN(4)/3*r.IntN(50)))
			switch k % 4 {
			case 0, 1:
				m = append(m, 0x20, 9, 0x65)
				m = binary.LittleEndian.AppendUint32(m, math.Float32bits(float32(50+walk[j])))
			case 2:
				m = append(m, 0x20, 3, 0x50)
				m = binary.AppendUvarint(m, uint64(int64(1000+10*walk[j])))
			default:
				m = append(m, 0x20, 11, 0x70, byte(r.IntN(2)))
			}
			b = append(append(b, 0x12, byte(len(m))), m...)
		}
		b = append(b, 0x18, byte(i))
		recs = append(recs, b)
	}
	return recs
}

// notes makes notes as package point writes them.
func notes(r *rand.Rand, n int) (recs [][]byte) {
	c := newSource(r)
	for range n {
		b := c.stamp([]byte{6}, 600_000)
		switch r.IntN(5) {
		case 0:
			b = text(b, "clock")
			b = fmt.Appendf(b, "wall time stepped by %+dms to 2026-11-%02dT%02d:%02d:%02dZ (ntp, bound %d ms)", r.IntN(4000)-2000, 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 1<<r.IntN(7))
		case 1:
			b = text(b, "configuration")
			b = fmt.Appendf(b, "configuration %016x taken over from skyhaul.toml: section \"lines\" changed, line \"tty%d\": baud %d", r.Uint64(), r.IntN(4), 9600<<r.IntN(4))
		case 2:
			b = text(b, "start")
			b = fmt.Appendf(b, "skyhaul 1.%d.%d started as pid %d after power loss, boot %d", r.IntN(3), r.IntN(9), 300+r.IntN(900), 17+r.IntN(9))
		case 3:
			b = text(b, "command")
			b = fmt.Appendf(b, "command %08x by operator \"%s\": write holding register %d of unit %d: %d -> %d, read back ok", r.Uint32(), []string{"miller", "okafor", "santos"}[r.IntN(3)], 100+r.IntN(40), 1+r.IntN(5), r.IntN(1000), r.IntN(1000))
		default:
			b = text(b, "unit")
			b = fmt.Appendf(b, "unit %d on line \"tty%d\" is silent since %d s: timeout after %d ms, tried %d times", 1+r.IntN(12), r.IntN(4), 30+r.IntN(1000), 300, 3)
		}
		recs = append(recs, b)
	}
	return recs
}

// archives makes hourly records of a flow computer: times, totals, means.
func archives(r *rand.Rand, n int) (recs [][]byte) {
	var gross, net, mass float64
	for i := range n {
		b := append([]byte{5}, byte(i%3), 0)
		b = binary.BigEndian.AppendUint32(b, uint32(1_763_000_000+3600*(i/3)))
		b = binary.BigEndian.AppendUint32(b, uint32(7000+i/3))
		q := 120 + 4*r.NormFloat64()
		gross, net, mass = gross+q, net+q*.98, mass+q*.83
		for _, v := range []float64{gross, net, mass} {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
		}
		for _, v := range []float64{q, 41 + .1*r.NormFloat64(), 23 + .2*r.NormFloat64(), 832.5 + .05*r.NormFloat64(), .98} {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
		recs = append(recs, append(b, make([]byte, 6)...))
	}
	return recs
}

// zstdBytes returns what b comes to, without magic, sizes and dictionary id;
// history is what both ends have seen before.
func zstdBytes(t *testing.T, b, history []byte) int {
	t.Helper()
	o := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)}
	frame := 6
	if len(history) > 0 {
		o = append(o, zstd.WithEncoderDictRaw(1, history[max(0, len(history)-64<<10):]))
		frame++
	}
	e, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return min(len(e.EncodeAll(b, nil))-frame, len(b)+1)
}

// code returns what records come to in a stream of their own.
func code(m *Bytes, recs [][]byte) int {
	var c Coder
	c.Encode(nil)
	for _, b := range recs {
		m.Code(&c, b, 0)
	}
	return len(c.Finish())
}

var history = flag.Int("history", 90, "records before those that are compared with zstd, a tenth of all; 450 for the figures")

// TestBytesBeatZstd prints bytes per record: of the last tenth, one at a time
// and as one batch, each after all before.
func TestBytesBeatZstd(t *testing.T) {
	before, last := *history, *history/9
	for _, s := range streams {
		recs := s.make(rand.New(rand.NewPCG(1, 2)), before+last)
		m := NewBytes()
		start := 0
		var earlier []byte
		for i, b := range recs[:before] {
			start += code(m, recs[i:i+1])
			earlier = append(binary.AppendUvarint(earlier, uint64(len(b))), b...)
		}
		batched := code(m.Clone(), recs[before:])
		var raw, alone, zstdOne, one int
		var all []byte
		for i, b := range recs[before:] {
			raw += len(b)
			one += code(m, recs[before+i:before+i+1])
			alone += zstdBytes(t, b, nil)
			b = append(binary.AppendUvarint(nil, uint64(len(b))), b...)
			zstdOne += zstdBytes(t, b, append(earlier, all...))
			all = append(all, b...)
		}
		zstdBatched := zstdBytes(t, all, earlier)
		per := func(n int) float64 { return float64(n) / float64(last) }
		t.Logf("%-10s raw %5.1f  zstd alone %5.1f, with history %5.1f, %d a batch %5.1f  model %5.2f, %d a batch %5.2f, the first %d %5.2f",
			s.name, per(raw), per(alone), per(zstdOne), last, per(zstdBatched), per(one), last, per(batched), before, float64(start)/float64(before))
		if one >= zstdOne || batched >= zstdBatched {
			t.Errorf("%s: not smaller than zstd with history", s.name)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	recs := jsonMessages(rand.New(rand.NewPCG(1, 2)), 500)
	m := NewBytes()
	n := 0
	for i := 0; b.Loop(); i++ {
		code(m, recs[i%500:i%500+1])
		n += len(recs[i%500])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/byte")
}

func BenchmarkBytesSnapshot(b *testing.B) {
	m := NewBytes()
	code(m, jsonMessages(rand.New(rand.NewPCG(1, 2)), 500))
	n := 0
	for b.Loop() {
		n = len(m.Append(nil))
	}
	b.ReportMetric(float64(n), "bytes")
}
