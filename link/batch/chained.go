package batch

import (
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// chainWriter writes one batch of level B.
type chainWriter struct {
	walker
	e       *Encoder
	head    chainHeader
	front   []byte // what stands before the stream
	sum     sum
	n       int             // records and gaps so far
	next    bufferstore.Seq // that follows them
	taken   int             // bytes of the records
	opaque  int             // those of the records that are no rows
	copies  int             // of the chain that were made
	spoiled bool            // the chain has learnt what isn't in the batch
}

const (
	// chainEnd is what the last symbol and the checksum take at most.
	chainEnd = 8
	// maxCopies bounds the records of a batch that are tried on a copy.
	maxCopies = 4
	// maxOpaque bounds the bytes of a batch's opaque records: each takes a
	// microsecond or two at both ends.
	maxOpaque = 256 << 10
)

// chained makes a batch of level B. last is 0 where recs yields nothing, or not
// even its first fits.
func (e *Encoder) chained(dst []byte, h *Header, recs iter.Seq2[bufferstore.Record, error], limit int) (p []byte, last bufferstore.Seq, err error) {
	var w *chainWriter
	for rec, err := range recs {
		if w == nil {
			if err == nil {
				err = e.begin(h, &rec)
			}
			if err != nil {
				return dst, 0, err
			}
			w = e.chainWriter(h, rec.First)
		}
		begin := time.Now()
		if err != nil || !w.follows(&rec) || !w.add(&rec, limit) {
			break
		}
		if e.chains.cpu.spend(begin); !e.chains.cpu.left() {
			break
		}
	}
	if w != nil && w.spoiled {
		e.chains.rewind()
	}
	if w == nil || w.spoiled || w.n == 0 {
		return dst, 0, nil
	}
	p = w.finish(dst)
	e.chains.made(w.Chain)
	w.note()
	return p, w.last, nil
}

// note has the encoder remember what the batch carries, and leans on.
func (w *chainWriter) note() {
	e, h := w.e, &w.head
	e.leans = h.base != 0 || e.opened[h.Epoch].sure
	for _, t := range w.tables {
		e.leans = e.leans || e.held[t.id].sure
	}
	if w.last <= e.acked {
		return // an ack from before says nothing of what goes once more
	}
	for _, s := range h.schemas {
		e.held.carry(s.ID(), w.last)
	}
	if h.Opening != nil {
		e.opened.carry(h.Epoch, w.last)
	}
}

func (e *Encoder) chainWriter(h *Header, first bufferstore.Seq) *chainWriter {
	c := e.chains.begin()
	w := &chainWriter{walker: walker{Chain: c}, e: e, next: first}
	w.head = chainHeader{Header: *h, first: first, base: c.name, slots: c.slots, place: c.name == 0 || c.epoch != h.Epoch || c.last+1 != first}
	if e.opened[h.Epoch].sure || c.epoch == h.Epoch {
		w.head.Opening = nil // the other end has it from a batch before
	}
	w.front = w.head.append(nil, &e.body.pack)
	w.sum.chained(&w.head)
	w.coder.Encode(nil)
	return w
}

func (w *chainWriter) follows(rec *bufferstore.Record) bool {
	return rec.Epoch == w.head.Epoch && rec.First == w.next && w.n < maxRecords && w.taken+len(rec.Data) <= batchBytes
}

func (w *chainWriter) size() int { return len(w.front) + w.coder.Len() + chainEnd }

// add codes a record unless it doesn't fit, or can't be of level B. A chain can't
// forget: where it may have to, the record is tried on a copy.
func (w *chainWriter) add(rec *bufferstore.Record, limit int) bool {
	before := *w
	schema := w.sight(rec)
	fresh := schema != nil && w.find(w.scan.Schema) < 0
	switch {
	case schema == nil && w.opaque+len(rec.Data) > maxOpaque:
		return false
	case fresh && !w.takes(schema):
		w.e.chains.full()
		return false
	case w.size()+w.most(rec, fresh) > limit || fresh && !w.carries(schema, limit):
		if w.copies++; w.copies > maxCopies {
			return false
		}
		w.Chain = w.Chain.Clone()
	}
	if w.n == 0 {
		w.mark(w.head.Acked, w.head.first)
	}
	w.code(rec, schema)
	if w.size() > limit || fresh && len(w.head.forms()) > maxSchemas {
		spoiled := w.Chain == before.Chain
		*w = before
		w.spoiled = spoiled
		return false
	}
	if schema == nil {
		w.opaque += len(rec.Data)
	}
	w.n, w.next, w.taken = w.n+1, rec.Last+1, w.taken+len(rec.Data)
	w.sum.record(rec)
	return true
}

// most returns how many bytes a record takes, most likely at most.
func (w *chainWriter) most(rec *bufferstore.Record, fresh bool) int {
	if w.taken == 0 || fresh {
		return 8 * (len(rec.Data) + 16)
	}
	return 4*w.coder.Len()*len(rec.Data)/w.taken + 64
}

// carries reports whether the batch can surely carry one more schema.
func (w *chainWriter) carries(s *point.Schema, limit int) bool {
	forms := len(w.head.forms()) + len(s.Append(nil))
	return w.size()+forms < limit/2 && forms <= maxSchemas
}

// sight returns the schema of a scan that goes as a row, and puts it into
// w.scan; nil for all that goes as it is.
func (w *chainWriter) sight(rec *bufferstore.Record) *point.Schema {
	id, ok := point.ScanSchema(rec.Data)
	if !ok || rec.Lost != bufferstore.Kept {
		return nil
	}
	var s *point.Schema
	if i := w.find(id); i >= 0 {
		s = w.tables[i].schema
	} else if s = lookUp(w.e.in.schemas, id); s == nil {
		return nil
	}
	if w.scan.Decode(rec.Data, s) != nil {
		return nil
	}
	for i, q := range w.scan.Quality {
		if !q.HasValue() && w.scan.Values[i] != 0 {
			return nil // a row has no word for it
		}
	}
	return s
}

// code codes a record: a scan of the schema in w.scan, or without one a gap or an
// opaque record.
func (w *chainWriter) code(rec *bufferstore.Record, s *point.Schema) {
	switch {
	case rec.Lost != bufferstore.Kept:
		w.symbol(walkGap)
		w.gap(uint64(rec.Last-rec.First)+1, rec.Lost)
	case s == nil:
		w.symbol(walkOpaque)
		w.bytes.Code(&w.coder, rec.Data, maxOpaque)
	default:
		i := w.find(w.scan.Schema)
		if i < 0 {
			i = len(w.tables)
			w.introduce(w.scan.Schema, s)
		}
		t := w.tables[i]
		if slices.Equal(w.scan.Quality, t.last) {
			w.symbol(walkTable + 2*i)
		} else {
			w.symbol(walkTable + 2*i + 1)
			w.qualities(t)
		}
		w.row(t)
	}
}

// introduce begins the table of a schema, and has the batch carry that unless the
// other end has it for sure.
func (w *chainWriter) introduce(id point.SchemaID, s *point.Schema) {
	place := 0
	if !w.e.held[id].sure {
		w.head.schemas = append(w.head.schemas, s)
		w.front = w.head.append(nil, &w.e.body.pack)
		place = len(w.head.schemas)
	}
	w.symbol(walkNew)
	w.schema(place, id)
	w.meet(id, s)
}

func (w *chainWriter) finish(dst []byte) []byte {
	w.symbol(walkEnd)
	dst = append(dst, w.front...)
	dst = append(dst, w.coder.Finish()...)
	w.sum.add(w.head.forms())
	w.stands(w.sum.crc, &w.head.Header, w.next-1)
	return binary.BigEndian.AppendUint32(dst, w.name)
}
