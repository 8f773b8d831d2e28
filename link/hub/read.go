package hub

import (
	"context"
	"errors"
	"fmt"

	"skyhaul/link/batch"
)

// errNotHere is the error for a batch whose chain was never here, or is no more.
var errNotHere = fmt.Errorf("it is not here: %w", batch.ErrState)

// arrival is a batch and the strand that ends with it.
type arrival struct {
	*batch.Batch
	strand
	base uint32 // name of the chain that the batch is built on
}

// read decodes a payload, on its chain where it is built on one.
func (r *Receiver) read(ctx context.Context, p parcel) (arrival, error) {
	k, leans := p.strand()
	switch {
	case !leans:
		return r.extend(strand{}, p.payload)
	case k.lane != p.lane:
		return arrival{}, strayed(k.lane, p.lane)
	case r.chains == nil:
		return arrival{}, errNotHere
	}
	if s, ok := r.strands.take(k); ok {
		if b, err := r.extend(s, p.payload); err == nil || r.lookup.err != nil {
			return b, err
		}
	}
	paths, err := r.chains.Paths(ctx, p.site, p.lane, k.tag)
	if err != nil {
		return arrival{}, sinkError{err}
	}
	err = fmt.Errorf("chain %04x: %w", k.tag, errNotHere)
	for i, path := range paths {
		b, e := r.along(path, p.payload)
		if e == nil || r.lookup.err != nil {
			return b, e
		}
		if i == 0 { // the others have the same tag by chance
			err = e
		}
	}
	return arrival{}, err
}

// along makes a chain and decodes the payload that is built on it.
func (r *Receiver) along(path Path, payload []byte) (b arrival, err error) {
	var s strand
	if path.Snapshot != nil {
		if s.chain, err = batch.ParseChain(path.Snapshot); err != nil {
			return b, fmt.Errorf("%w: snapshot: %v", batch.ErrState, err)
		}
	}
	for _, p := range path.Payloads {
		if b, err = r.extend(s, p); err != nil {
			return b, fmt.Errorf("%w: on the way: %v", batch.ErrState, err)
		}
		s = b.strand
	}
	r.count(func(s *Status) { s.Rebuilt++ })
	return r.extend(s, payload)
}

// extend decodes a payload on a strand, which is spoiled if it fails.
func (r *Receiver) extend(s strand, payload []byte) (arrival, error) {
	var base uint32
	if s.chain != nil {
		base = s.chain.Name()
	}
	b, err := r.decoder.DecodeOn(s.chain, payload)
	if err != nil {
		return arrival{}, err
	}
	return arrival{b, strand{b.Chain, s.links + 1, s.bytes + len(payload)}, base}, nil
}

// A snapshot is taken where it takes long to read the payloads since the one
// before again. One that is much longer than they are waits.
const (
	snapshotLinks = 64
	snapshotBytes = 64 << 10
	snapshotShort = 256 << 10 // as a chain in memory
	snapshotLast  = 1024      // links, whatever it takes
)

// due reports whether a snapshot is to be taken.
func (s *strand) due() bool {
	long := s.links > snapshotLinks || s.bytes > snapshotBytes
	size := s.chain.Size()
	return long && (size < snapshotShort || 4*s.bytes > size || s.links > snapshotLast)
}

// store stores a batch, and of one on a chain all that makes the chain again.
func (r *Receiver) store(ctx context.Context, p parcel, b arrival) (Marks, error) {
	if b.Chain == nil || r.chains == nil {
		m, err := r.opt.Sink.Store(ctx, p.site, b.Batch)
		return m, sinks(err)
	}
	l := Link{Base: b.base, Payload: p.payload}
	if b.due() {
		l.Snapshot = b.chain.Append(nil)
		b.links, b.bytes = 0, 0
	}
	m, err := r.chains.StoreLink(ctx, p.site, b.Batch, l)
	if err == nil { // else the strand has a batch too many
		r.strands.put(strandKey{p.site, b.Lane, uint16(b.chain.Name())}, b.strand)
		r.trust(p.site, b.Lane)
	}
	return m, sinks(err)
}

// sinks marks an error as the sink's unless it is the batch's.
func sinks(err error) error {
	if err == nil || errors.Is(err, ErrNoOpening) || errors.Is(err, ErrRefused) {
		return err
	}
	return sinkError{err}
}

// repeated reports whether a payload was stored before. It asks only where the
// chain that it is built on is not at hand: the next of a chain is no repetition.
func (r *Receiver) repeated(ctx context.Context, p parcel) (m Marks, ok bool, err error) {
	k, leans := p.strand()
	if !leans || r.chains == nil || r.strands.has(k) {
		return m, false, nil
	}
	m, ok, err = r.chains.Repeated(ctx, p.site, k.lane, p.payload)
	if err != nil {
		err = sinkError{err}
	}
	return m, ok, err
}

// strand returns which chain a payload is built on.
func (p *parcel) strand() (k strandKey, leans bool) {
	lane, tag, leans := batch.Base(p.payload)
	return strandKey{p.site, lane, tag}, leans
}
