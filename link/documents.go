package link

import (
	"time"

	"skyhaul/link/batch"
	"skyhaul/link/window"
)

// setup says what a session is to be.
func (u *Uplink) setup(box *inbox) Setup {
	topic := batch.StateTopic(u.opt.Prefix, u.opt.Site)
	state := batch.State{Online: true, Config: u.opt.Config, Next: u.nextContact()}
	birth := Message{Topic: topic, Payload: state.Marshal(), Retain: true}
	state.Online = false
	return Setup{
		Subscribe: []string{box.ackTopic, box.downs},
		Birth:     birth,
		Will:      Message{Topic: topic, Payload: state.Marshal(), Retain: true},
		Connected: box.connected,
	}
}

// nextContact returns the time to the next window, or to the next batch where
// this one stays open.
func (u *Uplink) nextContact() time.Duration {
	now := u.opt.Now().Time()
	spans := window.Next(u.opt.Window, now, 2)
	if len(spans) < 2 {
		return u.opt.MaxAge
	}
	return spans[1].Start.Sub(now)
}

// hear takes an ack in. The same one comes with each session, for it is
// retained; only an older one is odd.
func (u *Uplink) hear(doc *batch.Ack, now time.Duration) {
	if doc == nil || doc.At == u.ackAt {
		return
	}
	if doc.At < u.ackAt {
		u.ignored.Older++
		return
	}
	u.ackAt = doc.At
	for _, l := range u.lanes {
		l.hear(doc, now)
	}
}

// heed takes a document of open commands in. Nothing is carried out yet.
func (u *Uplink) heed(doc *batch.Down) {
	if doc == nil || doc.At == u.downAt {
		return
	}
	if doc.At < u.downAt {
		u.ignored.Older++
		return
	}
	u.downAt = doc.At
	u.down = DownStatus{Commands: len(doc.Commands)}
	for _, c := range doc.Commands {
		if at := time.UnixMilli(c.Deadline).UTC(); u.down.Earliest.IsZero() || at.Before(u.down.Earliest) {
			u.down.Earliest = at
		}
	}
	if u.opt.Down != nil {
		u.opt.Down(doc)
	}
}

// publish brings the status up to date.
func (u *Uplink) publish(p Phase) {
	s := Status{
		Window: u.window(), Phase: p, Failures: u.failures,
		Ignored: u.ignored, Down: u.down,
	}
	if u.lastErr != nil {
		s.Err = u.lastErr.Error()
	}
	if u.ackAt > 0 {
		s.AckAt = time.UnixMilli(u.ackAt).UTC()
	}
	for _, l := range u.lanes {
		s.Lanes = append(s.Lanes, l.status())
		s.Ignored.UnknownEpoch += l.evidence.ignored.UnknownEpoch
		s.Ignored.FloorBack += l.evidence.ignored.FloorBack
		s.Ignored.AboveSent += l.evidence.ignored.AboveSent
		s.Resent.add(l.evidence.resent)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status = s
}

// Status returns the state of the uplink. It is safe for concurrent use.
func (u *Uplink) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.status
	s.Totals = u.opt.Ledger.Totals()
	if err := u.opt.Ledger.Err(); err != nil {
		s.Ledger = err.Error()
	}
	return s
}
