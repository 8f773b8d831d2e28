package listen

import (
	"bytes"
	"slices"
	"time"

	"skyhaul/modbus"
)

// Kind says what a frame is.
type Kind uint8

// The kinds of frames.
const (
	Noise Kind = iota // bytes of no intact frame
	Request
	Answer
)

var kindNames = [...]string{"noise", "request", "answer"}

// String returns the name of the kind, such as "request".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Frame is a run of bytes on the line.
type Frame struct {
	At    time.Time // of its first byte
	Bytes []byte
	Kind  Kind
	Unit  modbus.UnitID // not of noise, as the rest
	PDU   modbus.PDU    // lies in Bytes

	// Request is what an answer answers, Asked when its first byte was heard.
	// Request is nil where there is any doubt.
	Request modbus.PDU
	Asked   time.Time
}

// Counters counts what a decoder has heard.
type Counters struct {
	Requests   uint64 // frames
	Answers    uint64 // frames, exceptions included
	Pairs      uint64 // answers that belong to a request beyond doubt
	Doubtful   uint64 // answers that more than one request could explain
	Unasked    uint64 // answers that no request explains
	NoiseBytes uint64
}

const (
	// pause is the silence after which nothing that has begun goes on. USB
	// adapters hand bytes on every 16 ms only, device servers hold them longer,
	// and a busy system may keep a process waiting.
	pause = 150 * time.Millisecond
	// strayBytes is how many bytes a transceiver may make up when it is switched;
	// more may be what is left of a request.
	strayBytes = 2
	// keep is how many bytes without a frame are kept, since one may lie there.
	keep = 2 * maxFrame
)

// Decoder finds the frames in what is heard on an RTU line, and pairs them. It
// is not safe for concurrent use.
type Decoder struct {
	pause    time.Duration
	timed    bool // else a network lies between
	counters Counters

	in    []byte      // heard and not yet used
	at    []time.Time // when each byte of in was
	no    []bool      // whether no frame can begin at it any more
	stray int         // bytes of no frame since the last frame

	dialects map[modbus.UnitID]modbus.Dialect

	units   map[modbus.UnitID]*debt
	began   time.Time     // zero before the first Feed
	unheard time.Time     // when a request may last have gone unheard
	waited  time.Duration // the least that the client waited in vain; 0 if it never had to
	last    *owed         // the last request, as long as it wants an answer
	vain    bool          // no answer came since then
}

// NewDecoder returns a decoder; t is the zero value where no line is known.
func NewDecoder(t modbus.LineTiming) *Decoder {
	return &Decoder{
		pause: max(pause, t.Wire(6)), timed: t.Bit > 0,
		dialects: make(map[modbus.UnitID]modbus.Dialect), units: make(map[modbus.UnitID]*debt),
	}
}

// Speak says in which dialect a unit is spoken to: plain Modbus if never called
// for it. Call it before the first Feed.
func (d *Decoder) Speak(unit modbus.UnitID, dialect modbus.Dialect) { d.dialects[unit] = dialect }

// Counters returns the counts so far.
func (d *Decoder) Counters() Counters { return d.counters }

// Feed takes bytes that came at a time, which must not go back, and returns the
// frames that have become certain, in their order. Call it without bytes when
// the line has been silent for a while: that ends what was cut short.
func (d *Decoder) Feed(at time.Time, b []byte) []Frame {
	if d.began.IsZero() {
		d.began = at
	}
	d.in = append(d.in, b...)
	d.at = append(d.at, slices.Repeat([]time.Time{at}, len(b))...)
	d.no = append(d.no, make([]bool, len(b))...)
	var frames []Frame
	for {
		start, length := d.find(at)
		if start > 0 {
			frames = append(frames, d.noise(start))
		}
		if length == 0 {
			return frames
		}
		frames = append(frames, d.frame(length))
	}
}

// due returns when Feed wants to be called without bytes; zero for never.
func (d *Decoder) due() time.Time {
	if len(d.at) == 0 {
		return time.Time{}
	}
	return d.at[len(d.at)-1].Add(d.pause + time.Millisecond)
}

// find returns where the first frame is. If length is 0 there is none yet, and
// the bytes before start belong to none.
func (d *Decoder) find(now time.Time) (start, length int) {
	dead := d.deadUntil(now)
	for i := range d.in {
		if d.no[i] {
			continue
		}
		n, unfinished := d.frameAt(i)
		if n > 0 {
			return i, n
		}
		d.no[i] = !unfinished
		if unfinished && i >= dead && (i == 0 && d.stray == 0 || d.awaitedAt(i)) {
			return min(i, d.useless(dead)), 0
		}
	}
	return d.useless(dead), 0
}

// useless returns how many bytes can't be part of a frame any more.
func (d *Decoder) useless(dead int) int { return max(dead, len(d.in)-keep) }

// deadUntil returns how many bytes are followed by a silence too long for the
// middle of a frame.
func (d *Decoder) deadUntil(now time.Time) int {
	for i := len(d.in) - 1; i >= 0; i-- {
		if now.Sub(d.at[i]) > d.pause {
			return i + 1
		}
		now = d.at[i]
	}
	return 0
}

// frameAt returns the length of the intact frame that begins at i, 0 if there is
// none, and whether more bytes could make one.
func (d *Decoder) frameAt(i int) (n int, unfinished bool) {
	b := d.in[i:]
	if b[0] > lastUnit || len(b) == 1 {
		return 0, len(b) == 1
	}
	speaks := d.dialects[modbus.UnitID(b[0])]
	for _, n := range [...]int{answerLength(b, speaks), requestLength(b, speaks)} {
		switch {
		case n > len(b):
			unfinished = true
		case n > 0 && intact(b[:n]):
			return n, false
		}
	}
	return 0, unfinished
}

// awaitedAt reports whether the answer to the last request seems to begin at i.
func (d *Decoder) awaitedAt(i int) bool {
	b := d.in[i:]
	return d.last != nil && len(b) > 1 && d.last.begins(b)
}

// take removes the first n bytes.
func (d *Decoder) take(n int) Frame {
	f := Frame{At: d.at[0], Bytes: slices.Clone(d.in[:n])}
	d.in = slices.Delete(d.in, 0, n)
	d.at = slices.Delete(d.at, 0, n)
	d.no = slices.Delete(d.no, 0, n)
	return f
}

// noise takes bytes of no frame. More than a few may have been a request, to
// whatever unit, unless they are the awaited answer but for its checksum.
func (d *Decoder) noise(n int) Frame {
	d.counters.NoiseBytes += uint64(n)
	if !d.damagedAnswer(d.in[:n]) {
		d.stray += n
		if d.stray > strayBytes {
			d.unheard = d.at[n-1]
		}
	}
	return d.take(n)
}

// damagedAnswer reports whether b is the awaited answer but for its checksum, and
// takes it for one, as far as that ends a debt. Answers no longer than a request
// are not believed.
func (d *Decoder) damagedAnswer(b []byte) bool {
	if d.last == nil {
		return false
	}
	u := d.debt(d.last.unit, d.at[0])
	for i := range min(strayBytes+1, len(b)) {
		f := b[i:]
		if len(f) <= requestSize || !d.last.begins(f) {
			continue
		}
		p := modbus.PDU(f[1 : len(f)-2])
		if !u.dialect.Answers(d.last.req, p) {
			continue
		}
		if to, first, _ := u.explain(p); to != nil && !d.unsure(d.at[0]) {
			u.forget(first)
		}
		d.last = nil
		return true
	}
	return false
}

// requestSize is the length of the frame of a read.
const requestSize = 8

// unsure reports whether a request may have gone unheard that may still be
// answered.
func (d *Decoder) unsure(at time.Time) bool { return at.Sub(d.unheard) <= d.late() }

// frame takes an intact frame.
func (d *Decoder) frame(n int) Frame {
	speaks := d.dialects[modbus.UnitID(d.in[0])]
	asks, answers := requestLength(d.in, speaks) == n, answerLength(d.in, speaks) == n
	f := d.take(n)
	f.Unit, f.PDU = modbus.UnitID(f.Bytes[0]), modbus.PDU(f.Bytes[1:n-2])
	if _, err := speaks.ParseRequest(f.PDU); err != nil && answers {
		asks = false
	}
	awaited := answers && d.last != nil && d.last.unit == f.Unit && speaks.Answers(d.last.req, f.PDU)
	switch {
	case awaited && asks && f.PDU.Function().Reads():
		d.either(&f)
	case awaited || !asks:
		d.answer(&f)
	default:
		d.request(&f)
	}
	d.stray = 0
	return f
}

// debt returns what a unit may still answer at a time.
func (d *Decoder) debt(unit modbus.UnitID, at time.Time) *debt {
	u := d.units[unit]
	if u == nil {
		u = &debt{dialect: d.dialects[unit]}
		d.units[unit] = u
	}
	if u.lapse(at.Add(-d.late())) {
		d.unheard = at
	}
	return u
}

// late returns how long a unit may take to answer.
func (d *Decoder) late() time.Duration {
	if !d.timed {
		return networkLate
	}
	return min(max(leastLate, 2*d.waited), networkLate)
}

func (d *Decoder) request(f *Frame) {
	d.counters.Requests++
	if d.last != nil && d.vain {
		d.waitedInVain(f.At.Sub(d.last.at))
	}
	f.Kind, d.last, d.vain = Request, nil, true
	if f.Unit != modbus.Broadcast {
		d.last = d.debt(f.Unit, f.At).asked(f.Unit, f.PDU, f.At)
	}
}

func (d *Decoder) waitedInVain(t time.Duration) {
	if d.waited == 0 || t < d.waited {
		d.waited = t
	}
}

// either takes a frame that is the awaited answer or another request: reads of
// bits have both, of one length. What it is stays open.
func (d *Decoder) either(f *Frame) {
	d.counters.Answers++
	d.counters.Doubtful++
	f.Kind = Answer
	d.last = d.debt(f.Unit, f.At).asked(f.Unit, f.PDU, f.At)
}

func (d *Decoder) answer(f *Frame) {
	d.counters.Answers++
	f.Kind, d.vain = Answer, false
	u := d.debt(f.Unit, f.At)
	to, first, doubt := u.explain(f.PDU)
	unsure := d.unsure(f.At)
	if to != nil && !unsure {
		u.forget(first)
	}
	u.meet(f.PDU)
	switch {
	case to == nil:
		d.counters.Unasked++
	case doubt, unsure, f.At.Sub(d.began) <= d.late(), d.last == nil, d.last.unit != f.Unit, !bytes.Equal(d.last.req, to.req):
		d.counters.Doubtful++
	default:
		d.counters.Pairs++
		f.Request, f.Asked = to.req, to.at
		d.last = nil
	}
}
