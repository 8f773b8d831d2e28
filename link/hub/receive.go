package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// receive deals with what the broker hands over. Its error means that it has to
// be handed over again.
func (r *Receiver) receive(ctx context.Context, d *desk, topic string, payload []byte) error {
	r.alive()
	site, leaf, lane, ok := batch.ParseTopic(r.opt.Prefix, topic)
	switch {
	case !ok:
		r.count(func(s *Status) { s.Strangers++ })
	case len(payload) == 0: // a retained document was taken back
	case leaf == batch.LeafUp:
		return r.take(ctx, d, parcel{site, lane, topic, payload})
	case leaf == batch.LeafState:
		return r.contact(ctx, d, parcel{site, lane, topic, payload})
	}
	return nil
}

// parcel is what came in on a topic.
type parcel struct {
	site    string
	lane    point.Lane
	topic   string
	payload []byte
}

// take stores a batch. What can't be stored is dealt with so that it need not
// come again.
func (r *Receiver) take(ctx context.Context, d *desk, p parcel) error {
	m, done, err := r.repeated(ctx, p)
	var b arrival
	if err == nil && !done {
		b, err = r.decode(ctx, p)
	}
	if err == nil && !done {
		m, err = r.store(ctx, p, b)
	}
	schema, unknown := errors.AsType[batch.SchemaError](err)
	_, failed := errors.AsType[sinkError](err)
	switch {
	case err == nil:
		r.stored(p.site, &m)
		d.look(document{p.site, batch.LeafAck})
		return nil
	case failed:
		return err
	case unknown && schema.Header.Lane == p.lane:
		return r.askFresh(ctx, d, p.site, p.lane, schema.Header.Epoch)
	case errors.Is(err, ErrNoOpening):
		return r.askFresh(ctx, d, p.site, b.Lane, b.Epoch)
	case errors.Is(err, batch.ErrState):
		return r.unchained(ctx, d, p, err)
	}
	return r.reject(ctx, p, err)
}

func (r *Receiver) decode(ctx context.Context, p parcel) (arrival, error) {
	r.lookup.begin(ctx, p.site)
	b, err := r.read(ctx, p)
	if r.lookup.err != nil {
		return b, sinkError{r.lookup.err}
	}
	if err == nil && b.Lane != p.lane {
		return b, strayed(b.Lane, p.lane)
	}
	return b, err
}

func strayed(lane, topic point.Lane) error {
	return fmt.Errorf("batch of lane %s on the topic of lane %s", lane, topic)
}

// unchained deals with a batch whose chain is not here. Nobody can tell which
// epoch it is of. The first of many that can't be read is kept aside.
func (r *Receiver) unchained(ctx context.Context, d *desk, p parcel, cause error) error {
	if r.doubts(p, cause) && !errors.Is(cause, errNotHere) {
		if err := r.reject(ctx, p, cause); err != nil {
			return err
		}
	}
	return r.askFresh(ctx, d, p.site, p.lane, bufferstore.Epoch{})
}

// stored notes a success, and a fork the first time it is seen.
func (r *Receiver) stored(site string, m *Marks) {
	forks := m.Forks()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink.end()
	r.status.Batches++
	r.status.LastBatch = time.Now()
	if len(forks) > r.forks[site] {
		last := forks[len(forks)-1]
		r.opt.Logger.Warn("epochs claim the same place: a card was cloned or an old image restored", "site", site, "lane", last.Lane, "epochs", len(last.Epochs))
	}
	r.forks[site] = len(forks)
}

// askFresh has the next ack ask for batches that stand on their own.
func (r *Receiver) askFresh(ctx context.Context, d *desk, site string, lane point.Lane, epoch bufferstore.Epoch) error {
	if err := r.opt.Sink.AskFresh(ctx, site, lane, epoch); err != nil {
		return sinkError{err}
	}
	r.count(func(s *Status) { s.Fresh++ })
	d.look(document{site, batch.LeafAck})
	return nil
}

// reject keeps aside what will never be stored.
func (r *Receiver) reject(ctx context.Context, p parcel, cause error) error {
	err := r.opt.Fleet.Reject(ctx, Rejected{Site: p.site, Topic: p.topic, Cause: cause.Error(), Payload: p.payload})
	if err != nil {
		return sinkError{err}
	}
	r.count(func(s *Status) { s.Rejected++ })
	return nil
}

// contact notes what a site says of itself. When a session of it starts, it is
// told again what it may have missed.
func (r *Receiver) contact(ctx context.Context, d *desk, p parcel) error {
	st, err := batch.ParseState(p.payload)
	if err != nil {
		return r.reject(ctx, p, err)
	}
	if err := r.opt.Fleet.Contact(ctx, p.site, st); err != nil {
		return sinkError{err}
	}
	if st.Online {
		d.repeat(p.site)
	}
	return nil
}
