package batch

import (
	"encoding/binary"
	"fmt"
	"math"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
)

// chainReader reads one batch of level B.
type chainReader struct {
	walker
	head    chainHeader
	schemas point.Lookup
	next    bufferstore.Seq // of the record to come
	records []bufferstore.Record
	room    []byte // for their data
	left    int    // bytes that their data may still take
	opaque  int    // those of them that are no rows
}

// DecodeOn reads a batch that is built on base, see [Base]; nil will do for one
// that stands on its own. The chain after the batch is Batch.Chain: it is base
// itself, changed. Where DecodeOn fails, base is spoiled and must be let go.
//
// The error wraps [ErrState] where base isn't the one, or isn't what the sender
// had: then only batches that stand on their own can help. Else the errors are
// those of Decode.
func (d *Decoder) DecodeOn(base *Chain, p []byte) (*Batch, error) {
	lane, tag, leans := Base(p)
	switch {
	case len(p) == 0 || p[0] == levelA || p[0]>>4 != version || p[0]&8 != 0:
		return d.decodePlain(p)
	case !leans:
		base = nil
	case base == nil || base.lane != lane || base.tag() != tag:
		return nil, fmt.Errorf("batch on chain %04x of lane %s: %w", tag, lane, ErrState)
	}
	b, err := d.readChained(base, p)
	if err == nil && b == nil {
		err = fmt.Errorf("batch of %d bytes: %w", len(p), ErrCorrupt)
		if leans { // nobody can tell which of the two is wrong
			err = fmt.Errorf("batch of %d bytes on chain %04x of lane %s: %w", len(p), tag, lane, ErrState)
		}
	}
	return b, err
}

// readChained returns no batch for what no writer made on this base.
func (d *Decoder) readChained(base *Chain, p []byte) (*Batch, error) {
	body := max(len(p)-4, 0)
	src := source{b: p[:body]}
	r := chainReader{walker: walker{Chain: base}, schemas: d.schemas, left: batchBytes, opaque: maxOpaque}
	carries, err := r.head.read(&src, base)
	if err != nil {
		return nil, err
	}
	var forms []byte
	if carries {
		d.body.unpack.reset()
		r.head.schemas, forms = d.body.readSchemas(&src)
	}
	if src.bad {
		return nil, nil
	}
	if base == nil {
		r.Chain = newChain(r.head.slots)
	}
	r.coder.Decode(src.b)
	r.next = r.head.first
	r.head.Acked = r.mark(0, r.head.first)
	if ok, err := r.read(); !ok || err != nil {
		return nil, err
	}
	if r.sum(forms) != binary.BigEndian.Uint32(p[body:]) {
		return nil, nil
	}
	r.stands(binary.BigEndian.Uint32(p[body:]), &r.head.Header, r.next-1)
	return &Batch{Header: r.head.Header, First: r.head.first, Last: r.last, Schemas: r.head.schemas, Records: r.records, Chain: r.Chain}, nil
}

func (r *chainReader) sum(forms []byte) uint32 {
	var s sum
	s.chained(&r.head)
	for i := range r.records {
		s.record(&r.records[i])
	}
	s.add(forms)
	return s.crc
}

// read takes all records; ok is false for what no writer made.
func (r *chainReader) read() (ok bool, err error) {
	for {
		s := r.symbol(0)
		switch {
		case r.coder.Bad():
			return false, nil
		case s == walkEnd:
			return len(r.records) > 0, nil
		case s == walkNew:
			if ok, err := r.introduced(); !ok {
				return false, err
			}
			continue
		case len(r.records) == maxRecords || s >= walkTable+2*len(r.tables):
			return false, nil
		}
		if !r.take(s) {
			return false, nil
		}
	}
}

// take reads the gap or record that a symbol tells of.
func (r *chainReader) take(s int) (ok bool) {
	rec := bufferstore.Record{Epoch: r.head.Epoch, First: r.next, Last: r.next}
	switch s {
	case walkGap:
		n, lost := r.gap(1, 0)
		rec.Last, rec.Lost = r.next+bufferstore.Seq(n-1), lost
		if lost == bufferstore.Kept || !lost.Valid() || rec.Last < rec.First {
			return false
		}
	case walkOpaque:
		if rec.Data, ok = r.bytes.Code(&r.coder, nil, r.opaque); !ok {
			return false
		}
		r.opaque -= len(rec.Data)
	default:
		t := r.tables[(s-walkTable)/2]
		if (s-walkTable)%2 == 1 {
			r.qualities(t)
		}
		r.row(t)
		rec.Data = r.scanned(t)
	}
	r.left -= len(rec.Data)
	r.records = append(r.records, rec)
	r.next = rec.Last + 1
	return r.left >= 0 && rec.Last < math.MaxUint64
}

// scanned returns the record of the scan that row has read.
func (r *chainReader) scanned(t *table) []byte {
	if n := usualScan + 8*len(t.last); cap(r.room)-len(r.room) < n {
		r.room = make([]byte, 0, max(n, min(2*cap(r.room), 64<<10)))
	}
	begin := len(r.room)
	r.room = r.scan.Append(r.room, t.schema)
	return r.room[begin:len(r.room):len(r.room)]
}

// introduced begins the table of a schema.
func (r *chainReader) introduced() (ok bool, err error) {
	place, id := r.schema(0, point.SchemaID{})
	if place > len(r.head.schemas) {
		return false, nil
	}
	var s *point.Schema
	if place > 0 {
		s = r.head.schemas[place-1]
		id = s.ID()
	} else if s, ok = r.schemas(id); !ok {
		return false, SchemaError{ID: id, Header: r.head.Header}
	}
	if r.find(id) >= 0 || !r.takes(s) {
		return false, nil
	}
	r.meet(id, s)
	return true, nil
}
