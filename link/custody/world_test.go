package custody_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

const siteID = "pump-7"

var master = []byte("the hub's own key, 32 bytes long")

// flows is the schema of all scans.
var flows = &point.Schema{Group: "flows", Columns: []point.Column{
	{ID: 1, Tag: "FT-1", Unit: "m3/h", Type: point.Float32, Scale: point.NoScale},
	{ID: 2, Tag: "PT-1", Unit: "bar", Type: point.Uint16, Scale: point.Scale{Factor: 0.01}},
	{ID: 3, Tag: "XV-1", Type: point.Bool, Scale: point.NoScale},
}}

func lookup(id point.SchemaID) (*point.Schema, bool) { return flows, id == flows.ID() }

// fate is where a record that was put on the link has got to.
type fate uint8

const (
	unsent    fate = iota
	flying         // on the link
	held           // by the broker or a hub
	lost           // with the connection that carried it
	forgotten      // by the broker, or by the hub's backup
)

// world is what one seed is played in, and what is known to be true in it.
type world struct {
	t      *testing.T
	broker *broker
	sink   *sink
	hubs   *hubs
	flaps  float64 // share of batches at which a connection is cut

	cards  []*card
	image  *card // of the first, as it was
	backup *sink

	mu    sync.Mutex
	rand  *rand.Rand      // guarded by mu, as all below
	truth map[name]string // every record that ever was durable
	moved map[name]fate
	gone  map[bufferstore.Epoch]bool // epochs of cards that were thrown away
	twins map[name]bool              // what two cards have and may both send, see cloned and rewind
	sums  sums
	// chains are snapshots of all that ever were on the link, by tag.
	chains map[uint16][][]byte
	leant  int // batches that leaned on one
}

// sums are bytes on the link, in records' share of their batches.
type sums struct {
	once      float64 // first time
	again     float64 // though it was held or flying
	lost      float64 // because a connection lost it
	forgotten float64 // because the broker or the hub's backup had forgotten it
	twin      float64 // by a clone, of what neither had sent when it was made or what both were asked for
}

func (s *sums) add(o sums) {
	s.once += o.once
	s.again += o.again
	s.lost += o.lost
	s.forgotten += o.forgotten
	s.twin += o.twin
}

// ratio returns what was sent, in terms of sending once.
func (s sums) ratio() float64 { return (s.once + s.again + s.lost) / s.once }

func (s sums) String() string {
	return fmt.Sprintf("%.0f bytes once, %.3f times that sent (again %.0f, lost with connections %.0f); apart: forgotten %.0f, by a clone %.0f",
		s.once, s.ratio(), s.again, s.lost, s.forgotten, s.twin)
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, sink: newSink(), flaps: 0.005,
		rand:  rand.New(rand.NewPCG(seed, 7)),
		truth: make(map[name]string), moved: make(map[name]fate), gone: make(map[bufferstore.Epoch]bool),
		twins: make(map[name]bool), chains: make(map[uint16][][]byte),
	}
	w.broker, w.hubs = newBroker(w), &hubs{w: w, n: 1 + int(seed/2%2)}
	return w
}

func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64() < p
}

func (w *world) n(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.n(int(b-a)))
}

// durable notes a record that a sync has made durable.
func (w *world) durable(n name, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old, there := w.truth[n]; there && old != data {
		w.t.Errorf("%v names two records", n)
	}
	w.truth[n] = data
}

// onTheLink counts the bytes of a batch that leaves.
func (w *world) onTheLink(payload []byte) []name {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, err := w.decode(payload)
	if err != nil {
		w.t.Errorf("batch on the link: %v", err)
		return nil
	}
	ns := names(b)
	share := float64(len(payload)) / float64(len(ns))
	for _, n := range ns {
		switch f := w.moved[n]; {
		case f == unsent:
			w.sums.once += share
		case f == forgotten:
			w.sums.forgotten += share
		case f == lost:
			w.sums.lost += share
		case w.twins[n]:
			w.sums.twin += share
			delete(w.twins, n)
		default:
			w.sums.again += share
		}
		if w.moved[n] != held {
			w.moved[n] = flying
		}
	}
	return ns
}

// decode reads a batch on the chain that it was made on. The caller holds mu.
func (w *world) decode(payload []byte) (*batch.Batch, error) {
	d := batch.NewDecoder(lookup)
	_, tag, leans := batch.Base(payload)
	b, err := d.DecodeOn(nil, payload)
	if leans {
		w.leant++
	}
	for _, snapshot := range w.chains[tag] {
		if err == nil {
			break
		}
		base, broken := batch.ParseChain(snapshot)
		if broken != nil {
			return nil, broken
		}
		b, err = d.DecodeOn(base, payload)
	}
	if err == nil && b.Chain != nil {
		tag := uint16(b.Chain.Name())
		w.chains[tag] = append(w.chains[tag], b.Chain.Append(nil))
	}
	return b, err
}

func (w *world) arrived(ns []name) { w.move(ns, held) }

func (w *world) forgotten(ns []name) { w.move(ns, forgotten) }

func (w *world) dropped(ns []name) { w.move(ns, lost) }

// move changes the fate of records, unless another copy is held.
func (w *world) move(ns []name, to fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range ns {
		if w.moved[n] != held {
			w.moved[n] = to
		}
	}
}

// cloned notes what two cards have to send from now on.
func (w *world) cloned() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.truth {
		w.twins[n] = w.moved[n] == unsent
	}
}

// rewind notes that the sink was restored: what the broker doesn't hold any
// more, nor the sink, is forgotten, and every card that has it is asked for it.
func (w *world) rewind() {
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, f := range w.moved {
		if _, stored := w.sink.rows[n]; f == held && !stored {
			w.moved[n] = forgotten
			w.twins[n] = true
		}
	}
}
