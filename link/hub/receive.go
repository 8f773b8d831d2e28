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
	b, err := r.decode(ctx, p)
	if schema, ok := errors.AsType[batch.SchemaError](err); ok && schema.Header.Lane == p.lane {
		return r.askFresh(ctx, d, p.site, p.lane, schema.Header.Epoch)
	}
	if _, ok := errors.AsType[sinkError](err); ok {
		return err
	}
	if err != nil {
		return r.reject(ctx, p, err)
	}
	m, err := r.opt.Sink.Store(ctx, p.site, b)
	switch {
	case errors.Is(err, ErrNoOpening):
		return r.askFresh(ctx, d, p.site, b.Lane, b.Epoch)
	case errors.Is(err, ErrRefused):
		return r.reject(ctx, p, err)
	case err != nil:
		return sinkError{err}
	}
	r.stored(p.site, &m)
	d.look(document{p.site, batch.LeafAck})
	return nil
}

func (r *Receiver) decode(ctx context.Context, p parcel) (*batch.Batch, error) {
	r.lookup.begin(ctx, p.site)
	b, err := r.decoder.Decode(p.payload)
	if r.lookup.err != nil {
		return nil, sinkError{r.lookup.err}
	}
	if err == nil && b.Lane != p.lane {
		return nil, fmt.Errorf("batch of lane %s on the topic of lane %s", b.Lane, p.lane)
	}
	return b, err
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
