package link

import (
	"context"
	"errors"
	"time"

	"skyhaul/link/batch"
	"skyhaul/link/window"
)

const (
	// limboWait is how long the first ack of a session is waited for at most,
	// after the connection stands, before batches without PUBACK go again.
	limboWait = 5 * time.Second
	// deafWait is the same after the start of a session that tells nothing at all.
	deafWait = time.Minute
	// patience is how long a session at its in-flight limit may hold up what else
	// there is to do: acks, a window that was moved, a more urgent lane.
	patience = 10 * time.Second
)

// session is one session of an uplink: its window is open, and the connection
// is tried, stands or has just ended. It belongs to the goroutine of Uplink.Run.
type session struct {
	u         *Uplink
	conn      Session
	box       *inbox
	began     time.Duration // boottime
	connected time.Duration // boottime; 0 until the connection stands
	patience  time.Duration // how long an ack is waited for at most: a part of what the window had left then
	pubacks   int
	buf       []byte
	// stuck is a batch in buf that the session had no room for: it goes next, for
	// the encoder has moved on.
	stuck *landing
}

// errEnded stands for a session that ends without a word.
var errEnded = errors.New("session ended")

// serve runs one session until ctx ends, the window closes or the session
// breaks, which is the error.
func (u *Uplink) serve(ctx context.Context) (gotThrough bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{u: u, box: newInbox(&u.opt), began: u.opt.Now().Boottime}
	s.conn = u.opt.NewSession(u.setup(s.box))
	u.pace.begin()
	var broke error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		broke = or(s.conn.Run(ctx, s.box.receive), errEnded)
		cancel()
	}()
	done, err := s.drain(ctx)
	cancel()
	<-ended
	s.take() // what came with the end
	s.end()
	if !done && err == nil {
		err = broke
	}
	return s.pubacks > 0, err
}

// drain sends until ctx ends. It returns true where the uplink itself is
// done: the window closes or the budget is spent.
func (s *session) drain(ctx context.Context) (done bool, err error) {
	for ctx.Err() == nil {
		if err := s.take(); err != nil {
			return false, err
		}
		w := s.u.tick()
		if !w.Open || !s.u.opt.Ledger.Allows(true) {
			return true, nil
		}
		s.u.publish(s.phase())
		rest := s.limbo()
		sent, err := s.sendNext(ctx, w)
		if err != nil {
			return false, err
		}
		if !sent {
			s.u.wait(ctx, w, s.box.wake, rest)
		}
	}
	return false, nil
}

func (s *session) phase() Phase {
	if s.connected > 0 {
		return Connected
	}
	return Connecting
}

// limbo returns how long an ack is still waited for before what is in limbo
// goes again, and ends the limbo when that is over.
func (s *session) limbo() (rest time.Duration) {
	until := s.began + deafWait
	if s.connected > 0 {
		until = s.connected + min(s.patience, 2*s.u.pace.trip+time.Second)
		if s.u.pace.trip == 0 {
			until = s.connected + s.patience
		}
	}
	rest = until - s.u.opt.Now().Boottime
	waiting := false
	for _, l := range s.u.lanes {
		l.flight.limbo = l.flight.limbo && rest > 0
		waiting = waiting || l.flight.limbo
	}
	if !waiting {
		return time.Minute
	}
	return rest
}

// sendNext hands the most urgent batch to the session; false where there is
// none, or no room for one before the window closes.
func (s *session) sendNext(ctx context.Context, w window.State) (sent bool, err error) {
	l, r, again := s.u.choose()
	if l == nil {
		return false, nil
	}
	left := s.u.left(w)
	room := s.u.pace.room(left, s.u.aloft())
	if room < min(minBatch, s.u.pace.limit) {
		return false, nil
	}
	b, ok := s.unstuck(l, r, again, room)
	if !ok {
		if b, err = s.cut(l, r, again, room); err != nil {
			s.u.hold(l, err)
			return true, nil
		}
	}
	s.u.release(l)
	l.hand(b)
	ctx, cancel := context.WithTimeout(ctx, min(left, patience))
	defer cancel()
	err = s.conn.Send(ctx, l.topic, s.buf, func(err error) { s.box.landed(landing{l, b, err}) })
	if err != nil {
		return true, s.refused(ctx, landing{l, b, err})
	}
	return true, nil
}

// cut makes the batch for the beginning of r, in buf.
func (s *session) cut(l *lane, r batch.Range, again bool, room int) (b flown, err error) {
	s.buf, r.Last, err = l.cut(s.buf[:0], r, room, s.u.pace.ceiling)
	return flown{r, again, l.enc.Leans(), len(s.buf), s.u.opt.Now().Boottime}, err
}

// unstuck returns the batch that got stuck if it is what is to be sent now; else
// it is given up.
func (s *session) unstuck(l *lane, r batch.Range, again bool, room int) (b flown, ok bool) {
	stuck := s.stuck
	if s.stuck = nil; stuck == nil {
		return b, false
	}
	b = stuck.flown
	if stuck.lane == l && b.First == r.First && b.Last <= r.Last && b.again == again && b.bytes <= room {
		return b, true
	}
	stuck.lane.enc.Rewind()
	return b, false
}

// tooLarge is implemented by the error of a session that takes the message only
// in a smaller packet, such as *mqtt.TooLargeError.
type tooLarge interface {
	error
	TooLarge() (size, limit int) // bytes of the packet
}

// refused deals with a batch that the session did not take.
func (s *session) refused(ctx context.Context, l landing) error {
	l.lane.flight.takeBack(l.flown)
	if e, ok := errors.AsType[tooLarge](l.err); ok {
		size, limit := e.TooLarge()
		s.u.pace.refused(l.bytes - (size - limit))
		l.lane.enc.Rewind()
		return nil
	}
	if ctx.Err() != nil { // it never left
		s.stuck = &l
		return nil
	}
	return l.err
}

// take deals with what the session called back with.
func (s *session) take() error {
	n := s.box.take()
	now := s.u.opt.Now().Boottime
	if n.connected || n.ack != nil {
		s.stands(now)
	}
	var err error
	for _, l := range n.flown {
		err = or(s.land(l, now), err)
	}
	s.u.ignored.BadMAC += n.badMAC
	s.u.ignored.Malformed += n.malformed
	s.u.hear(n.ack, now)
	s.u.heed(n.down)
	return err
}

// land deals with the end of one batch's flight. One that ended without PUBACK
// stays aloft: the session is over, and nobody knows what became of it.
func (s *session) land(l landing, now time.Duration) error {
	if l.err == nil {
		s.stands(now)
		s.pubacks++
		s.u.gotThrough()
		s.u.pace.puback(l.flown, max(l.at, s.connected), now)
		l.lane.puback(l.flown, now)
		return nil
	}
	if _, ok := errors.AsType[tooLarge](l.err); ok {
		return s.refused(context.Background(), l)
	}
	return l.err
}

// stands notes the first sign of a connection. A window shorter than limboWait
// must not be spent on waiting: then nothing would ever be sent.
func (s *session) stands(now time.Duration) {
	if s.connected == 0 {
		s.connected = max(now, 1)
		s.patience = min(limboWait, s.u.left(s.u.window())/4)
	}
}

// end leaves what has no PUBACK in limbo; without a connection it never left.
func (s *session) end() {
	if s.connected > 0 && s.pubacks == 0 && s.u.aloft() > 0 {
		s.u.pace.stalled()
	}
	if s.stuck != nil {
		s.stuck.lane.enc.Rewind()
	}
	for _, l := range s.u.lanes {
		l.end(s.connected > 0)
	}
}
