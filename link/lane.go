package link

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// lane puts a lane of the buffer together with what is known of its way.
type lane struct {
	Source
	topic    string
	enc      *batch.Encoder
	flight   flight
	evidence evidence
	target   bufferstore.Seq // everything up to here is due
	pause    time.Duration   // boottime before which the lane is left alone
	err      error           // why it can't be sent
	held     int             // how often in a row
	kept     uint32          // name of the chain that was last saved
}

func newLane(s Source, o *Options) *lane {
	durable := s.Records.Durable()
	enc := batch.NewEncoder(o.Schemas)
	enc.SetCPU(o.CoderCPU)
	if o.CoderSlots > 0 {
		enc.SetSlots(o.CoderSlots)
	}
	return &lane{
		Source: s,
		topic:  batch.UpTopic(o.Prefix, o.Site, s.Lane),
		enc:    enc,
		flight: flight{
			acked: s.Cursor.Acked(), sent: s.Cursor.Sent(), handed: durable,
			// The process before this one may have sent more than the mark says.
			limbo: s.Cursor.Sent() < durable,
			quiet: o.Now().Boottime,
		},
		evidence: newEvidence(o.HoleAfter),
	}
}

// urgent reports whether the lane waits for no MaxAge and may use what a budget
// keeps back.
func (l *lane) urgent() bool { return l.Lane == point.Alarm || l.Lane == point.Result }

// next returns what is to be sent now.
func (l *lane) next(now time.Duration) (r batch.Range, again, ok bool) {
	if now < l.pause {
		return r, false, false
	}
	r, again, ok = l.flight.next(l.Records.Durable())
	return r, again, ok && (again || r.First <= l.target)
}

// leastCeiling is the least that a session must take for a record beyond it to
// be given up as too large. Under a broker that takes less, the lane waits.
const leastCeiling = 64 << 10

// cut makes a batch from the beginning of r, of at most room bytes, or of one
// record that is longer; a record beyond ceiling goes as a gap.
func (l *lane) cut(dst []byte, r batch.Range, room, ceiling int) (p []byte, last bufferstore.Seq, err error) {
	h, ok := l.header(r.First)
	if !ok {
		return dst, 0, fmt.Errorf("lane %s: number %d is of no epoch", l.Lane, r.First)
	}
	// The encoder gives a record up that doesn't fit, so room must not bind it.
	limit := room
	if most := 2*l.length(r.First) + minBatch; most > room {
		limit = ceiling
		r.Last = r.First
		if most > ceiling && ceiling < leastCeiling {
			return dst, 0, fmt.Errorf("lane %s: number %d may not fit into the %d bytes that the broker takes", l.Lane, r.First, ceiling)
		}
	}
	p, last, err = l.enc.Encode(dst, h, upTo(l.Records.Records(r.First), r.Last), limit)
	if errors.Is(err, batch.ErrLimit) && limit < ceiling { // a schema that needs more
		p, last, err = l.enc.Encode(dst, h, upTo(l.Records.Records(r.First), r.Last), ceiling)
	}
	if err == nil && last == 0 {
		err = errors.New("the store yields nothing")
	}
	if err != nil {
		return dst, 0, fmt.Errorf("lane %s from %d: %w", l.Lane, r.First, err)
	}
	return p, last, nil
}

// header returns the header of a batch that begins with first.
func (l *lane) header(first bufferstore.Seq) (h batch.Header, ok bool) {
	for _, s := range l.Records.Spans() {
		if s.First <= first && first <= s.Last {
			return batch.Header{
				Lane: l.Lane, Epoch: s.Epoch, Acked: l.flight.acked,
				Opening: &batch.Opening{Parent: s.Parent, First: s.First},
			}, true
		}
	}
	return h, false
}

// length returns the bytes of the record at seq, 0 where it is none.
func (l *lane) length(seq bufferstore.Seq) int {
	for rec, err := range l.Records.Records(seq) {
		if err == nil {
			return len(rec.Data)
		}
		break
	}
	return 0
}

// upTo ends an iteration after the number last.
func upTo(recs iter.Seq2[bufferstore.Record, error], last bufferstore.Seq) iter.Seq2[bufferstore.Record, error] {
	return func(yield func(bufferstore.Record, error) bool) {
		for rec, err := range recs {
			if err == nil && rec.First > last {
				return
			}
			rec.Last = min(rec.Last, last) // a gap may reach further
			if !yield(rec, err) || rec.Last == last {
				return
			}
		}
	}
}

// hand notes a batch given to the session.
func (l *lane) hand(b flown) {
	l.flight.hand(b)
	if !b.leans {
		l.evidence.stands(b.Range)
	}
}

// end notes that the session is over. What is built on batches that may be lost
// with it could never be read.
func (l *lane) end(connected bool) {
	if len(l.flight.aloft) > 0 {
		l.enc.Rewind()
	}
	l.flight.end(connected)
}

// puback notes that the broker has a batch.
func (l *lane) puback(b flown, now time.Duration) {
	l.flight.puback(b, now)
	if b.again {
		l.evidence.puback(b.Range, now)
	}
	l.mark()
}

// hear takes an accepted ack in.
func (l *lane) hear(doc *batch.Ack, now time.Duration) {
	var entries []batch.LaneAck
	for _, a := range doc.Lanes {
		if a.Lane == l.Lane {
			entries = append(entries, a)
		}
	}
	if l.evidence.hear(&l.flight, entries, l.Records.Spans(), now) {
		l.reset()
	}
	if len(entries) > 0 {
		l.enc.Carry(slices.ContainsFunc(entries, func(a batch.LaneAck) bool { return a.Chain }))
	}
	l.mark()
	if l.flight.acked > l.Cursor.Acked() {
		l.Cursor.Ack(l.flight.acked)
	}
	l.enc.Acked(l.flight.acked)
	l.evidence.settled(l.flight.acked)
}

// mark keeps the sent mark.
func (l *lane) mark() {
	if l.flight.sent != l.Cursor.Sent() {
		l.Cursor.SetSent(l.flight.sent)
	}
}

// reset has batches stand on their own.
func (l *lane) reset() {
	l.enc.Reset()
	l.evidence.plain = nil
}

// listen goes back to what is acked where the hub has been silent for too long.
func (l *lane) listen(now, after time.Duration) {
	if l.flight.silent(now, after) {
		l.evidence.silence(&l.flight, now, after)
		l.reset()
		l.mark()
	}
}

func (l *lane) status() LaneStatus {
	s := LaneStatus{
		Lane: l.Lane, Durable: l.Records.Durable(), Sent: l.flight.sent, Acked: l.flight.acked,
		Again: l.flight.again.count(),
	}
	if l.err != nil {
		s.Err = l.err.Error()
	}
	return s
}
