package hub

import "time"

// Status is what a receiver has seen since it was made.
type Status struct {
	Connected     bool      // a sign of life came in this session
	LastBatch     time.Time // stored; zero for none
	Batches       int64     // stored
	Rejected      int64     // kept aside: corrupt, of an unknown version or contradicting the marks
	Fresh         int64     // not stored because schema, opening or chain are not here, and asked for
	Unchained     int64     // those of Fresh that lack their chain, or it differs
	Rebuilt       int64     // chains made again from what the sink keeps
	Strangers     int64     // on topics that no site of ours uses
	Acks          int64     // published, with a PUBACK
	SessionErrors int64
	SinkErrors    int64
}

// Status returns what has been seen so far. It is safe for concurrent use.
func (r *Receiver) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// count changes the status.
func (r *Receiver) count(f func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.status)
}
