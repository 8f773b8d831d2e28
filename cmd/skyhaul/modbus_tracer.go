package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"skyhaul/modbus"
	hear "skyhaul/modbus/listen"
	"skyhaul/modbus/tap"
)

// trace prints frames and counts them.
type trace struct {
	screen *screen
	json   bool
	header tap.Header
	timing modbus.LineTiming

	capture *tap.Writer // nil: not kept
	failed  error       // to keep or to print
	frames  dissector
	began   time.Time
	last    time.Time // end of the last frame
	now     time.Time
	busy    time.Duration
	units   map[modbus.UnitID]*unitTrace
	noise   int // bytes
	damaged int // frames with a wrong checksum
}

// unitTrace counts what passed between clients and one unit.
type unitTrace struct {
	Unit       modbus.UnitID `json:"unit"`
	Requests   int           `json:"requests"`
	Answers    int           `json:"answers"`
	Exceptions int           `json:"exceptions"`
	Mean       float64       `json:"turnaround_mean_ms"`
	Most       float64       `json:"turnaround_max_ms"`

	paired int
}

func newTrace(w io.Writer, asJSON bool, h tap.Header) *trace {
	if h.Begun.IsZero() {
		h.Begun = time.Unix(0, 0)
	}
	return &trace{
		screen: newScreen(w), json: asJSON, header: h, timing: h.Timing(), began: h.Begun, now: h.Begun,
		frames: newDissector(h), units: map[modbus.UnitID]*unitTrace{},
	}
}

// listenUntil takes in what comes until a time, or ctx ends.
func (t *trace) listenUntil(ctx context.Context, s *session, end time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return t.listen(ctx, s)
}

// listen takes in what comes until ctx ends.
func (t *trace) listen(ctx context.Context, s *session) error {
	const tick = 50 * time.Millisecond // noise is told when silence has ended it
	buf := make([]byte, 512)
	for ctx.Err() == nil && t.failed == nil {
		if err := s.conn.SetReadDeadline(time.Now().Add(tick)); err != nil {
			return err
		}
		_, err := s.conn.Read(buf) // the tap tells what comes
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.now = t.began.Add(time.Since(s.began))
			t.show(t.frames.feed(t.now, tap.Received, nil))
		case err != nil:
			return s.hint(err)
		}
	}
	return nil
}

// chunk takes in what passed.
func (t *trace) chunk(c tap.Chunk) {
	if t.capture != nil && t.failed == nil {
		t.failed = t.capture.Write(c)
	}
	t.now = t.began.Add(c.At)
	t.show(t.frames.feed(t.now, c.Direction, c.Bytes))
}

// silence tells that no valid answer came.
func (t *trace) silence(at time.Duration, err error) {
	if t.json {
		t.encode(jsonFrame{At: at.Seconds(), Kind: "missing", Meaning: err.Error()})
		return
	}
	t.write("%s  %s\n", t.screen.paint(dim, fmt.Sprintf("%11.6f", at.Seconds())), t.screen.paint(red, plain(err.Error())))
}

// write prints, until printing fails.
func (t *trace) write(format string, args ...any) {
	if t.failed == nil {
		_, t.failed = fmt.Fprintf(t.screen.w, format, args...)
	}
}

// encode prints a value as JSON.
func (t *trace) encode(v any) {
	e := json.NewEncoder(t.screen.w)
	e.SetEscapeHTML(false)
	t.failed = cmp.Or(t.failed, e.Encode(v))
}

// longSilence is longer than any frame pauses.
const longSilence = time.Hour

// end prints what is left, and the statistics.
func (t *trace) end() error {
	t.show(t.frames.feed(t.now.Add(longSilence), tap.Received, nil))
	units := slices.SortedFunc(maps.Values(t.units), func(a, b *unitTrace) int { return cmp.Compare(a.Unit, b.Unit) })
	if t.json {
		t.encode(map[string]any{"units": units, "noise_bytes": t.noise, "wrong_checksums": t.damaged, "busy": t.share()})
		return t.failed
	}
	rows := [][]cell{cells("unit", "requests", "answers", "exceptions", "unanswered", "turnaround", "longest")}
	for _, u := range units {
		row := cells(u.Unit, u.Requests, u.Answers, u.Exceptions, max(0, u.Requests-u.Answers), milliseconds(u.Mean), milliseconds(u.Most))
		rows = append(rows, row)
	}
	fmt.Fprintln(t.screen.w)
	if err := t.screen.table(rows); err != nil {
		return err
	}
	text := fmt.Sprintf("\n%s; noise: %d bytes; wrong checksums: %d frames\n", t.load(), t.noise, t.damaged)
	switch {
	case len(units) > 0:
	case t.noise+t.damaged > 0:
		text += "bytes, but no intact frame: other settings, or A and B are swapped: skyhaul modbus scan says which\n"
	default:
		text += "nothing passed: no client talks, or the port is not on the line\n"
	}
	_, err := io.WriteString(t.screen.w, text)
	return err
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// share returns how busy the line was, 0 to 1.
func (t *trace) share() float64 {
	if t.now.Sub(t.began) <= 0 {
		return 0
	}
	return float64(t.busy) / float64(t.now.Sub(t.began))
}

func (t *trace) load() string {
	if t.timing.Bit == 0 {
		return fmt.Sprintf("%v in all", t.now.Sub(t.began).Round(time.Millisecond))
	}
	return fmt.Sprintf("%v in all, the line was busy for %.1f %%", t.now.Sub(t.began).Round(time.Millisecond), 100*t.share())
}

// show counts and prints frames.
func (t *trace) show(fs []traced) {
	for i := range fs {
		f := &fs[i]
		t.count(f)
		if t.json {
			t.printJSON(f)
		} else {
			t.print(f)
		}
		t.last = f.end
	}
}

func (t *trace) count(f *traced) {
	t.busy += t.timing.Wire(len(f.Bytes))
	if f.Kind == hear.Noise {
		if strings.HasPrefix(f.meaning(), "WRONG") {
			t.damaged++
		} else {
			t.noise += len(f.Bytes)
		}
		return
	}
	u := t.units[f.Unit]
	if u == nil {
		u = &unitTrace{Unit: f.Unit}
		t.units[f.Unit] = u
	}
	switch {
	case f.echo:
	case f.Kind == hear.Request:
		u.Requests++
	default:
		u.answered(f)
	}
}

func (u *unitTrace) answered(f *traced) {
	u.Answers++
	if f.PDU.Function()&exceptionBit != 0 {
		u.Exceptions++
	}
	if f.Request == nil {
		return
	}
	ms := f.turnaround().Seconds() * 1000
	u.paired++
	u.Mean += (ms - u.Mean) / float64(u.paired)
	u.Most = max(u.Most, ms)
}

// turnaround returns the silence before an answer.
func (t *traced) turnaround() time.Duration { return max(0, t.At.Sub(t.Asked)) }
