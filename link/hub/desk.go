package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"skyhaul/link/batch"
)

const (
	// pace is the shortest time between two publishes of one document: batches
	// come in flights, and one ack speaks for all that were stored before it.
	pace = 250 * time.Millisecond
	// patience is how long a document just published isn't repeated to a site
	// whose session starts, and how long a refused one waits.
	patience = 10 * time.Second
	// survey is how often the sink is asked for new commands.
	survey = 5 * time.Second
)

// document is one retained document for a site.
type document struct {
	site string
	leaf batch.Leaf // LeafAck or LeafDown
}

// desk publishes the documents of a session: each when there is something
// newer, one at a time and not faster than pace.
type desk struct {
	r       *Receiver
	session Session
	wake    chan struct{}

	mu     sync.Mutex // guards what follows
	sheets map[document]*sheet
}

// sheet is where a document stands in this session.
type sheet struct {
	look bool      // there may be something newer
	busy bool      // published, PUBACK awaited
	at   int64     // of the last published; 0 for none, then anything is newer
	last time.Time // when that was
	next time.Time // not before
	err  error     // what the broker had against it
}

func newDesk(r *Receiver, s Session) *desk {
	return &desk{r: r, session: s, wake: make(chan struct{}, 1), sheets: make(map[document]*sheet)}
}

// look says that there may be something newer.
func (d *desk) look(doc document) {
	d.change(doc, func(s *sheet) { s.look = true })
}

// repeat has the documents of a site published again if they haven't just been.
func (d *desk) repeat(site string) {
	now := time.Now()
	for _, leaf := range []batch.Leaf{batch.LeafAck, batch.LeafDown} {
		d.change(document{site, leaf}, func(s *sheet) {
			if now.Sub(s.last) > patience {
				s.at = 0
			}
			s.look = true
		})
	}
}

func (d *desk) change(doc document, f func(*sheet)) {
	d.mu.Lock()
	s := d.sheets[doc]
	if s == nil {
		s = &sheet{}
		d.sheets[doc] = s
	}
	f(s)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run publishes until ctx ends or the sink fails.
func (d *desk) run(ctx context.Context) error {
	sites, err := d.r.opt.Fleet.Sites(ctx)
	if err != nil {
		return sinkError{err}
	}
	for _, s := range sites {
		d.look(document{s.ID, batch.LeafAck})
	}
	d.lookForCommands(sites)
	poll := time.NewTicker(survey)
	defer poll.Stop()
	for {
		d.r.opt.Tick()
		if err := d.r.present(ctx); err != nil {
			return err
		}
		due, wait := d.due(time.Now())
		for _, doc := range due {
			if err := d.publish(ctx, doc); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		case <-time.After(wait):
		case <-poll.C:
			if sites, err = d.r.opt.Fleet.Sites(ctx); err != nil {
				return sinkError{err}
			}
			d.lookForCommands(sites)
		}
	}
}

// lookForCommands looks at the commands of sites that have other ones than were
// published: another process may have queued them.
func (d *desk) lookForCommands(sites []Site) {
	for _, s := range sites {
		if s.DownAt > 0 {
			d.change(document{s.ID, batch.LeafDown}, func(sh *sheet) { sh.look = sh.look || s.DownAt > sh.at })
		}
	}
}

// due returns the documents to be looked at now, and how long it is until the
// next one may be.
func (d *desk) due(now time.Time) (due []document, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wait = survey
	for doc, s := range d.sheets {
		switch {
		case !s.look || s.busy:
		case now.Before(s.next):
			wait = min(wait, s.next.Sub(now))
		default:
			s.look = false
			due = append(due, doc)
		}
	}
	return due, wait
}

// publish sends a document if it is newer than the one published before.
func (d *desk) publish(ctx context.Context, doc document) error {
	d.mu.Lock()
	s := d.sheets[doc]
	before, refusal := s.at, s.err
	d.mu.Unlock()
	if refusal != nil {
		d.r.refused(refusal)
	}
	at, payload, err := d.make(ctx, doc)
	if _, ok := errors.AsType[sinkError](err); ok {
		return err
	}
	if err != nil {
		d.done(doc, err)
		return nil
	}
	if at <= before {
		return nil
	}
	now := time.Now()
	d.change(doc, func(s *sheet) { s.busy, s.at, s.last, s.next = true, at, now, now.Add(pace) })
	topic := batch.AckTopic(d.r.opt.Prefix, doc.site)
	if doc.leaf == batch.LeafDown {
		topic = batch.DownTopic(d.r.opt.Prefix, doc.site)
	}
	if err := d.session.SendRetained(ctx, topic, payload, func(err error) { d.done(doc, err) }); err != nil {
		d.done(doc, err)
	}
	return nil
}

// make returns a document as it is now.
func (d *desk) make(ctx context.Context, doc document) (at int64, payload []byte, err error) {
	key := batch.SiteKey(d.r.opt.Master, doc.site)
	if doc.leaf == batch.LeafDown {
		down, err := d.r.opt.Fleet.Down(ctx, doc.site)
		if err != nil {
			return 0, nil, sinkError{err}
		}
		payload, err = down.Marshal(key, doc.site)
		return down.At, payload, err
	}
	m, err := d.r.opt.Sink.Marks(ctx, doc.site)
	if err != nil {
		return 0, nil, sinkError{err}
	}
	ack, chain := m.Ack(), d.r.permits(doc.site)
	for i := range ack.Lanes {
		ack.Lanes[i].Chain = chain
	}
	payload, err = ack.Marshal(key, doc.site)
	return m.At, payload, err
}

// done takes the broker's answer. Whatever it is, the document is looked at
// again: another hub may have stored more since it was made, and this older one
// may have replaced its ack on the broker.
func (d *desk) done(doc document, err error) {
	now := time.Now()
	d.change(doc, func(s *sheet) {
		s.busy, s.look, s.err = false, true, err
		if err != nil {
			s.at, s.next = 0, now.Add(patience)
		}
	})
	if err == nil {
		d.r.published(doc.leaf)
	}
}
