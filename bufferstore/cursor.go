package bufferstore

import "time"

// Cursor is the progress of one destination in a lane. Its marks are durable
// with the next Sync. It is safe for concurrent use.
type Cursor struct {
	lane *Lane

	// guarded by Store.mu
	marks marks
	saved marks // as on disk
}

// marks is what is kept of a cursor.
type marks struct {
	sent, acked Seq
	maxAge      time.Duration
	maxBytes    int64
}

// unsaved is no marks that a cursor can have.
var unsaved = marks{maxAge: -1}

// Cursor returns the cursor of that name. A new one begins before the oldest
// number that [Lane.Spans] knows. It holds the lane's records until they are
// acked, in this opening and all later ones, unless Limit or Remove says otherwise.
func (l *Lane) Cursor(name string) *Cursor {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if c := l.cursors[name]; c != nil {
		return c
	}
	begin := l.spans[0].first - 1
	c := &Cursor{lane: l, marks: marks{sent: begin, acked: begin}, saved: unsaved}
	l.cursors[name] = c
	return c
}

// get returns the marks.
func (c *Cursor) get() marks {
	c.lane.s.mu.Lock()
	defer c.lane.s.mu.Unlock()
	return c.marks
}

// Sent returns the last number handed to the destination's broker.
func (c *Cursor) Sent() Seq { return c.get().sent }

// Acked returns the last number up to which all is durable at the destination.
func (c *Cursor) Acked() Seq { return c.get().acked }

// SetSent sets the sent mark, within Acked and the lane's durable end; it may go back.
func (c *Cursor) SetSent(upTo Seq) {
	c.lane.s.mu.Lock()
	defer c.lane.s.mu.Unlock()
	c.marks.sent = max(c.marks.acked, min(upTo, c.lane.state.end))
}

// Ack raises the acked mark, and with it the sent mark, up to the lane's
// durable end. It never goes back.
func (c *Cursor) Ack(upTo Seq) {
	c.lane.s.mu.Lock()
	defer c.lane.s.mu.Unlock()
	c.marks.acked = max(c.marks.acked, min(upTo, c.lane.state.end))
	c.marks.sent = max(c.marks.sent, c.marks.acked)
}

// Limit makes c a side consumer: it holds no records older than maxAge (store
// age), nor more than maxBytes. Zero is no limit.
func (c *Cursor) Limit(maxAge time.Duration, maxBytes int64) {
	c.lane.s.mu.Lock()
	defer c.lane.s.mu.Unlock()
	c.marks.maxAge, c.marks.maxBytes = maxAge, maxBytes
}

// Remove forgets the cursor, which then holds nothing any more. c must not be
// used again.
func (c *Cursor) Remove() {
	l := c.lane
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for name, other := range l.cursors {
		if other == c {
			delete(l.cursors, name)
			l.removed = append(l.removed, name)
		}
	}
}

// held returns up to where no cursor holds records any more, and up to where
// every cursor has acked them, as far as that is durable: else a cut could leave
// what is given up, and not why. Both are zero where there is no cursor.
// Called with Store.mu.
func (l *Lane) held(st *state, age time.Duration) (free, acked Seq) {
	if len(l.cursors) == 0 {
		return 0, 0
	}
	free, acked = st.end, st.end
	for _, c := range l.cursors {
		own := min(c.marks.acked, c.saved.acked)
		acked = min(acked, own)
		free = min(free, max(own, c.marks.overdue(st, age)))
	}
	return free, acked
}

// overdue returns up to where a cursor's limits are exceeded.
func (m marks) overdue(st *state, age time.Duration) Seq {
	var upTo Seq
	ahead := st.bytes
	for p := range st.pieces {
		late := m.maxAge > 0 && age-p.age > m.maxAge
		big := m.maxBytes > 0 && ahead > m.maxBytes
		if !late && !big {
			break
		}
		upTo, ahead = p.last, ahead-p.bytes
	}
	return upTo
}
