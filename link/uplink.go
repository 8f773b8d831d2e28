// Package link is the uplink of the appliance: when the window opens it drains
// the lanes of the buffer, most urgent first, in batches through a session to
// the broker, and moves the marks by what the broker and the hub say.
//
// Two marks a lane: sent is what the broker has taken (PUBACK), acked is what
// the hub has made durable. A broker may forget, a hub may be restored from a
// backup, a card may be cloned; so only acked gives space back, and nothing is
// sent twice without evidence that it must be:
//
//	an ack shows a number as missing below one that is stored,   that number, once acks have
//	for HoleAfter                                                shown it so long
//	the hub asks for numbers                                     these numbers
//	the hub asks for a fresh start of an epoch                   what leans on what it lacks
//	nothing of what was sent is acked for ResendAfter            all above acked, then twice as rarely
//	the session ended without a PUBACK                           that batch, unless the first ack
//	                                                             of the next session shows it stored
//
// An ack is believed only under the site's key, newer than the last one, of an
// epoch of this store, not below what the same hub said before, and not above
// what was sent. What it tells of an older epoch is cut to what this store
// holds of it, for the store may be an old image of itself.
//
// One goroutine, that of Run, decides everything; sessions call back into an
// inbox.
package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"skyhaul/link/batch"
	"skyhaul/link/window"
)

// The longest waits between sessions, as multiples of RetryAfter: on a link that
// breaks, a window is short; a broker that says no will most likely say it
// again, and each time costs a session.
const (
	maxRetry   = 60
	maxRefused = 900
)

// Uplink is one way to the hub.
type Uplink struct {
	opt    Options
	lanes  []*lane
	wakeup chan struct{} // holds one wake-up from Wake

	// Of the goroutine of Run.
	pace     pace
	due      time.Duration // boottime at which all lanes are due
	kept     time.Duration // boottime when the chains were last kept
	failures int
	lastErr  error
	ackAt    int64
	downAt   int64
	down     DownStatus
	ignored  Ignored

	mu     sync.Mutex
	status Status // guarded by mu
}

// New returns an uplink that Run will work. The options are taken as checked.
func New(o Options) *Uplink {
	u := &Uplink{opt: o.withDefaults(), wakeup: make(chan struct{}, 1)}
	u.pace = newPace(u.opt.MaxBatch)
	u.kept = u.opt.Now().Boottime
	for _, s := range u.opt.Lanes {
		l := newLane(s, &u.opt)
		if u.opt.Keeper != nil {
			if err := l.resume(u.opt.Keeper); err != nil {
				u.opt.Logger.Warn("state of the coder begins anew", "err", err)
			}
		}
		u.lanes = append(u.lanes, l)
	}
	u.publish(Closed)
	return u
}

// Wake tells that something urgent has become durable.
func (u *Uplink) Wake() { wake(u.wakeup) }

// Run uses the window whenever it is open until ctx ends; then it hangs up
// without waiting for PUBACKs and returns nil.
func (u *Uplink) Run(ctx context.Context) error {
	wasOpen := false
	for ctx.Err() == nil {
		w := u.window()
		if w.Open != wasOpen {
			u.due, u.failures, wasOpen = 0, 0, w.Open
		}
		phase := u.phase(w)
		if phase == Connecting {
			u.try(ctx)
			continue
		}
		u.publish(phase)
		u.wait(ctx, w, nil, time.Minute)
	}
	u.keep()
	u.publish(Closed)
	return nil
}

// try runs one session, and waits after one that failed.
func (u *Uplink) try(ctx context.Context) {
	gotThrough, err := u.serve(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	if gotThrough {
		u.failures = 0
	}
	if u.lastErr == nil {
		u.opt.Logger.Warn("uplink lost", "err", err)
	}
	u.lastErr = err
	most := maxRetry * u.opt.RetryAfter
	if _, ok := errors.AsType[refusal](err); ok {
		most = maxRefused * u.opt.RetryAfter
	}
	wait := min(u.opt.RetryAfter<<min(u.failures, 10), most)
	u.failures++
	u.publish(Waiting)
	// Between half and all of it, so that sites that lost the same broker don't
	// come back as one.
	u.sleep(ctx, wait/2+rand.N(wait/2+1))
}

// refusal is implemented by the error of a session that the broker refused, such
// as *mqtt.RefusedError.
type refusal interface {
	error
	Refused()
}

// sleep waits for d, but no longer than the window is open.
func (u *Uplink) sleep(ctx context.Context, d time.Duration) {
	until := u.opt.Now().Boottime + d
	for ctx.Err() == nil {
		w := u.window()
		rest := until - u.opt.Now().Boottime
		if !w.Open || rest <= 0 {
			return
		}
		pause(ctx, nil, nil, min(rest, u.left(w), time.Minute))
	}
}

// wait waits until something happens: a change of the window, lanes that
// become due, news, an alarm, or most. A clock that was set is noticed within a
// minute.
func (u *Uplink) wait(ctx context.Context, w window.State, news <-chan struct{}, most time.Duration) {
	d := min(most, time.Minute)
	if !w.Until.IsZero() {
		d = min(d, u.left(w))
	}
	if w.Open {
		d = min(d, u.due-u.opt.Now().Boottime)
	}
	pause(ctx, news, u.wakeup, max(d, time.Millisecond))
}

func pause(ctx context.Context, a, b <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-a:
	case <-b:
	case <-t.C:
	case <-ctx.Done():
	}
}

// window is looked at in every turn of every loop.
func (u *Uplink) window() window.State {
	u.opt.Tick()
	return u.opt.Window.At(u.opt.Now().Time())
}

// left returns how long w stays as it is; a day where no change is in sight.
func (u *Uplink) left(w window.State) time.Duration {
	if w.Until.IsZero() {
		return 24 * time.Hour
	}
	return w.Until.Sub(u.opt.Now().Time())
}

// tick brings up to date what time alone changes, and returns the window.
func (u *Uplink) tick() window.State {
	now := u.opt.Now().Boottime
	all := now >= u.due
	if all {
		u.due = now + u.opt.MaxAge
	}
	for _, l := range u.lanes {
		if all || l.urgent() {
			l.target = l.Records.Durable()
		}
		l.listen(now, u.opt.ResendAfter)
	}
	u.opt.Ledger.touch()
	if now-u.kept >= keepEvery {
		u.keep()
	}
	return u.window()
}

// phase returns what to do in the window w: Connecting where a session is worth
// opening.
func (u *Uplink) phase(w window.State) Phase {
	if !w.Open {
		return Closed
	}
	u.tick()
	if !u.opt.Ledger.Allows(true) {
		return Spent
	}
	if !u.pending() {
		return Idle
	}
	return Connecting
}

// pending reports whether there is something to send.
func (u *Uplink) pending() bool {
	for _, l := range u.lanes {
		if u.allows(l) && u.opt.Now().Boottime >= l.pause && l.flight.waiting(l.target) {
			return true
		}
	}
	return false
}

// choose returns the most urgent lane that has something to send, and what.
func (u *Uplink) choose() (l *lane, r batch.Range, again bool) {
	now := u.opt.Now().Boottime
	for _, l := range u.lanes {
		if r, again, ok := l.next(now); ok && u.allows(l) {
			return l, r, again
		}
	}
	return nil, r, false
}

func (u *Uplink) allows(l *lane) bool { return u.opt.Ledger.Allows(l.urgent()) }

// hold leaves a lane alone for a while that can't be read or cut.
func (u *Uplink) hold(l *lane, err error) {
	if l.err == nil {
		u.opt.Logger.Error("lane can't be sent", "lane", l.Lane.String(), "err", err)
	}
	l.err = err
	l.held++
	l.pause = u.opt.Now().Boottime + u.opt.MaxAge
}

// release notes that a lane can be sent.
func (u *Uplink) release(l *lane) {
	if l.err != nil {
		u.opt.Logger.Info("lane can be sent again", "lane", l.Lane.String(), "failures", l.held)
	}
	l.err, l.held = nil, 0
}

// aloft returns the bytes that await PUBACK.
func (u *Uplink) aloft() (n int) {
	for _, l := range u.lanes {
		for _, b := range l.flight.aloft {
			n += b.bytes
		}
	}
	return n
}

// gotThrough notes that a batch was PUBACKed.
func (u *Uplink) gotThrough() {
	if u.lastErr != nil {
		u.opt.Logger.Info("uplink is back", "failures", u.failures)
	}
	u.lastErr, u.failures = nil, 0
}
