package batch_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"skyhaul/bufferstore"
	"skyhaul/edge/point"
	"skyhaul/link/batch"
)

// python has a script of testdata read payloads, all in one run, and returns
// what it prints of each, and what it says on stderr. Nil stands for a payload
// that it refuses; a chunk is a batch of nothing but records.
func python(t *testing.T, script string, payloads [][]byte) (read []*batch.Batch, says string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	dir := t.TempDir()
	// A copy, for go test sees what a test reads, but not what its child does.
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	args := []string{script}
	for i, p := range payloads {
		name := fmt.Sprintf("%d.payload", i)
		if err := os.WriteFile(filepath.Join(dir, name), p, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	var stdout, stderr strings.Builder
	cmd := exec.Command(python, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err = cmd.Run()
	if strings.Contains(stderr.String(), "Traceback") {
		t.Fatal(stderr.String())
	}
	read = parse(t, stdout.String(), len(payloads))
	if want := slices.Contains(read, nil); want != (err != nil) {
		t.Errorf("it ends with %v; one is refused: %v", err, want)
	}
	for i, b := range read {
		if said := strings.Contains("\n"+stderr.String(), fmt.Sprintf("\n%d.payload: ", i)); said != (b == nil) {
			t.Errorf("payload %d: refused: %v, said so: %v", i, b == nil, said)
		}
	}
	return read, stderr.String()
}

// line is what the decoder in Python prints of a payload, or of a record.
type line struct {
	File        string // of a payload
	Lane        string
	Epoch       string
	First, Last bufferstore.Seq
	Acked       bufferstore.Seq
	Opening     *struct {
		Parent string
		First  bufferstore.Seq
	}
	Schemas []struct{ ID, Form string }
	Record  string
	Lost    string
}

// parse makes batches of the lines of n payloads.
func parse(t *testing.T, lines string, n int) []*batch.Batch {
	t.Helper()
	read := make([]*batch.Batch, n)
	var b *batch.Batch
	for d := json.NewDecoder(strings.NewReader(lines)); ; {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return read
		} else if err != nil {
			t.Fatal(err)
		}
		if l.File == "" {
			b.Records = append(b.Records, l.record(t))
			continue
		}
		var i int
		if _, err := fmt.Sscanf(l.File, "%d.payload", &i); err != nil {
			t.Fatal(err)
		}
		b = l.batch(t)
		read[i] = b
	}
}

func (l *line) record(t *testing.T) bufferstore.Record {
	r := bufferstore.Record{Epoch: epochOf(t, l.Epoch), First: l.First, Last: l.Last, Data: unhex(t, l.Record)}
	for l.Lost != "" && r.Lost.String() != l.Lost && r.Lost.Valid() {
		r.Lost++
	}
	return r
}

func (l *line) batch(t *testing.T) *batch.Batch {
	b := &batch.Batch{Header: batch.Header{Epoch: epochOf(t, l.Epoch), Acked: l.Acked}, First: l.First, Last: l.Last}
	b.Lane, _ = point.ParseLane(l.Lane)
	if l.Opening != nil {
		b.Opening = &batch.Opening{Parent: epochOf(t, l.Opening.Parent), First: l.Opening.First}
	}
	for _, s := range l.Schemas {
		schema, rest, err := point.ParseSchema(unhex(t, s.Form))
		if err != nil || len(rest) > 0 || schema.ID().String() != s.ID {
			t.Fatalf("schema %s: %v", s.ID, err)
		}
		b.Schemas = append(b.Schemas, schema)
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func epochOf(t *testing.T, s string) (e bufferstore.Epoch) {
	copy(e[:], unhex(t, s))
	return e
}

// read reads payloads as python does: it knows the schemas and chains that came
// before.
func read(payloads [][]byte) []*batch.Batch {
	type base struct {
		lane point.Lane
		tag  uint16
	}
	known := map[point.SchemaID]*point.Schema{}
	chains := map[base]*batch.Chain{}
	d := batch.NewDecoder(func(id point.SchemaID) (*point.Schema, bool) { s, ok := known[id]; return s, ok })
	chunks := batch.NewChunkCodec(none)
	read := make([]*batch.Batch, len(payloads))
	for i, p := range payloads {
		lane, tag, _ := batch.Base(p)
		chain := chains[base{lane, tag}]
		if chain != nil {
			chain = chain.Clone()
		}
		b, err := d.DecodeOn(chain, p)
		if err == nil {
			for _, s := range b.Schemas {
				known[s.ID()] = s
			}
			if b.Chain != nil {
				chains[base{b.Lane, uint16(b.Chain.Name())}] = b.Chain
			}
			read[i] = b
			continue
		}
		b = new(batch.Batch)
		if chunks.Open(p, func(r bufferstore.Record) bool {
			r.Data = bytes.Clone(r.Data)
			b.Records = append(b.Records, r)
			return true
		}) == nil {
			read[i] = b
		}
	}
	return read
}

// agree fails the test unless all that Python reads of payloads is what Go reads.
func agree(t *testing.T, payloads [][]byte, got []*batch.Batch) {
	t.Helper()
	for i, want := range read(payloads) {
		switch {
		case got[i] == nil:
		case want == nil:
			t.Errorf("payload %d is read by Python alone", i)
		default:
			same(t, got[i].Records, want.Records)
			if want.Lane > 0 && content(got[i]) != content(want) { // Go doesn't say what schemas a chunk has
				t.Errorf("payload %d:\n%s\nwant\n%s", i, content(got[i]), content(want))
			}
		}
	}
}

// The decoder in Python is written from doc.go alone: where both read the same,
// doc.go says what the format is.
func TestDecoderInPythonReadsTheSame(t *testing.T) {
	v := vectors{t: t}
	v.refused()
	refused := len(v.payloads)
	v.rare()
	v.golden()
	v.schemas()
	v.columns()
	v.blocks()
	v.random()
	v.chains()
	got, says := python(t, "covered.py", v.payloads)
	agree(t, v.payloads, got)
	for said := range strings.Lines(says) {
		if strings.HasPrefix(said, "not reached") {
			t.Error(strings.TrimSpace(said))
		}
	}
	for i, b := range got {
		if (b == nil) != (i < refused) {
			t.Errorf("payload %d is refused: %v", i, b == nil)
		}
	}
}

func TestExplainedBytesAreABatchAndAChunk(t *testing.T) {
	b, err := batch.NewDecoder(none).Decode(explained(t, "explained.hex"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "explained.txt", []byte(content(b)))
	if n := len(open(t, batch.NewChunkCodec(none), explained(t, "explained-chunk.hex"))); n != 3 {
		t.Errorf("%d records, want 3", n)
	}
}

// explained reads a golden file of bytes in hexadecimal, with comments.
func explained(t *testing.T, name string) (p []byte) {
	text, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		code, _, _ := strings.Cut(line, "#")
		p = append(p, unhex(t, strings.Join(strings.Fields(code), ""))...)
	}
	return p
}

// vectors are payloads for decoders.
type vectors struct {
	t        *testing.T
	payloads [][]byte
}

func (v *vectors) add(payloads ...[]byte) { v.payloads = append(v.payloads, payloads...) }

// refused adds payloads that nobody reads.
func (v *vectors) refused() {
	s := newSite(324)
	w := s.group(3)
	e := batch.NewEncoder(s.lookup)
	recs := []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: s.scan(w)}}
	p := encode(v.t, e, history, recs)
	e.Acked(1)
	recs[0].First, recs[0].Last = 2, 2
	v.add(encode(v.t, e, history, recs)) // a schema that is not known
	for at, to := range []byte{0x20, p[1] | 0x20} {
		q := bytes.Clone(p)
		q[at] = to
		v.add(q)
	}
	newer := opaque(stored(nil), nil)
	newer[1] = 1
	c := chained(s.lookup)
	first := encode(v.t, c, history, recs)
	recs[0].First, recs[0].Last = 3, 3
	v.add(encode(v.t, c, history, recs)) // a chain that is not known
	first[len(first)-1] ^= 1
	v.add(first) // a checksum that is another
	v.add(nil, newer, append([]byte{0x18, 0}, bytes.Repeat([]byte{0xff}, 20)...))
	types := []byte{1, byte(point.Bool)} // of no group
	v.add(chunk(32, slices.Concat(stored(types), []byte{0}, stored([]byte{1, 1}), stored([]byte{2}), stored([]byte("xx"))), types, []byte("xx")))
}

func (v *vectors) golden() {
	v.add(explained(v.t, "explained.hex"), explained(v.t, "explained-chunk.hex"))
	for _, kind := range []string{"*.batch", "*.chunk"} {
		names, err := filepath.Glob(filepath.Join("testdata", "golden", kind))
		if err != nil || len(names) == 0 {
			v.t.Fatalf("golden %s: %d, %v", kind, len(names), err)
		}
		for _, name := range names {
			p, err := os.ReadFile(name)
			if err != nil {
				v.t.Fatal(err)
			}
			v.add(p)
		}
	}
}

// send adds records as two batches, the later one without the schemas, and as a chunk.
func (v *vectors) send(s *site, recs []bufferstore.Record) {
	e := batch.NewEncoder(s.lookup)
	h := history
	h.Opening = &batch.Opening{Parent: bufferstore.Epoch{7}, First: 1}
	half := len(recs) / 2
	v.add(encode(v.t, e, h, recs[:half+1]))
	e.Acked(recs[half].Last)
	v.add(encode(v.t, e, history, recs[half:]))
	v.seal(s, recs)
}

func (v *vectors) seal(s *site, recs []bufferstore.Record) {
	chunk, err := batch.NewChunkCodec(s.lookup).Seal(nil, recs)
	if err != nil {
		v.t.Fatal(err)
	}
	v.add(chunk)
}

// random adds all that the generators make: several groups and pages, runs of
// quality, gaps, opaque records, and chunks of several epochs with holes.
func (v *vectors) random() {
	for seed := range uint64(12) {
		s := newSite(300 + seed)
		for range 1 + s.rng.IntN(3) {
			s.group(s.rng.IntN(12))
		}
		delete(s.schemas, s.group(3).id)
		recs := s.records(2 + s.rng.IntN(1300))
		v.send(s, recs)
		for i := range recs {
			recs[i].Epoch[7] = byte(i / 100)
			recs[i].First += bufferstore.Seq(1000 * (i / 70))
			recs[i].Last += bufferstore.Seq(1000 * (i / 70))
		}
		v.seal(s, recs)
	}
}

// columns adds columns of every type that move in every way.
func (v *vectors) columns() {
	for kind := range kinds {
		s := newSite(320)
		var types []point.Type
		for t := point.Bool; t <= point.Float64; t++ {
			types = append(types, t)
		}
		w := s.groupOf(types...)
		for i := range w.kinds {
			w.kinds[i] = kind
		}
		v.send(s, s.records(300))
	}
}

// schemas adds schemas of the second and third version.
func (v *vectors) schemas() {
	s := newSite(321)
	w := s.groupOf(point.Uint32, point.Int16, point.Float32, point.Int16, point.Int16)
	w.schema.Interval = time.Minute
	for i := range w.schema.Columns {
		w.schema.Columns[i].Statistic = point.Count + point.Statistic(i)
	}
	s.changed(w)
	v.send(s, s.records(100))

	s = newSite(322)
	w = s.groupOf(point.Int16, point.Float64, point.Bool, point.Float32)
	for i := range w.schema.Columns {
		w.schema.Columns[i].Rule = []point.Rule{
			{},
			{Method: point.SwingingDoor, Error: .1, Silence: time.Hour},
			{Method: point.OnChange, Silence: time.Hour},
			{Method: point.Deadband, Error: 2, Silence: time.Minute},
		}[i]
		w.scan.Quality[i] = point.Unrecorded
	}
	s.changed(w)
	v.send(s, s.records(100))
}

// changed gives a schema that was changed its new id.
func (s *site) changed(w *wave) {
	w.id = w.schema.ID()
	w.scan.Schema = w.id
	s.schemas[w.id] = w.schema
}

// blocks adds what the blocks of Zstandard may be, each as the bytes section of
// a chunk of one opaque record.
func (v *vectors) blocks() {
	rng := rand.New(rand.NewPCG(322, 0))
	noise := make([]byte, 130<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	letters := make([]byte, 20000) // literals alone
	for i := range letters {
		letters[i] = '@' + byte(rng.IntN(40))
	}
	var text []byte
	for len(text) < 140<<10 {
		text = fmt.Appendf(text, "%d PT-%d %.2f bar\n", len(text), rng.IntN(7), rng.NormFloat64())
	}
	e, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, content := range [][]byte{letters[:1000], letters, text[:90], text[:2000], text, slices.Concat(noise, make([]byte, 300<<10), text[:9000])} {
		v.frame(e.EncodeAll(content, nil))
	}

	// By zstd 1.5.4: readings with --target-compressed-block-size, for literals
	// without a tree and repeated tables; letters for four short streams.
	for _, name := range []string{"readings.zst", "letters.zst"} {
		frame, err := os.ReadFile(filepath.Join("testdata", "golden", name))
		if err != nil {
			v.t.Fatal(err)
		}
		v.frame(frame)
	}

	// By hand: a raw block, an RLE block; a block of nothing but literals, which
	// are one byte; one of two sequences, whose offsets are the third before, 8,
	// and that less 1; and one of 32,600 sequences, whose codes take no bits.
	blocks := slices.Concat(
		[]byte{8 << 3, 0, 0}, []byte("wellhead"),
		[]byte{4<<3 | 1<<1, 0, 0, 'y'},
		[]byte{3<<3 | 2<<1, 0, 0}, []byte{5<<3 | 1, 'x', 0},
		[]byte{7<<3 | 2<<1, 0, 0}, []byte{0, 2, 0b01_01_01_00, 0, 1, 0, 0b101},
		[]byte{9<<3 | 2<<1 | 1, 0, 0}, binary.LittleEndian.AppendUint16([]byte{0, 255}, 32600-0x7f00), []byte{0b01_01_01_00, 0, 0, 0, 1},
	)
	v.frame(append(binary.LittleEndian.AppendUint32([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0}, 8+4+5+2*3+3*32600), blocks...))
}

// frame adds the blocks of a frame in a single segment, without a checksum.
func (v *vectors) frame(frame []byte) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	defer d.Close()
	content, err := d.DecodeAll(frame, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	head := 5 + []int{1, 2, 4, 8}[frame[4]>>6] // RFC 8878 section 3.1.1.1
	v.add(opaque(section(4, len(content), frame[head:]), content))
}

// section makes a section that unpacks to size bytes.
func section(method, size int, packed []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(len(packed)<<3|method))
	return append(binary.AppendUvarint(b, uint64(size)), packed...)
}

func stored(content []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(content)<<3)), content...)
}

// opaque makes a chunk of one opaque record, content, whose bytes section is packed.
func opaque(packed, content []byte) []byte {
	length := binary.AppendUvarint(nil, uint64(len(content)))
	return chunk(0, slices.Concat([]byte{0}, stored([]byte{1, 1}), stored(length), packed), nil, content)
}

// chunk makes a chunk of what follows the spans, and of one record, data.
func chunk(flags byte, rest, carried, data []byte) []byte {
	p := slices.Concat([]byte{0x18, flags, 1}, epoch[:], []byte{1, 1}, rest)
	sum := slices.Concat([]byte{0x18}, carried, epoch[:])
	sum = binary.BigEndian.AppendUint64(sum, 1)
	sum = binary.BigEndian.AppendUint64(sum, 1)
	sum = binary.BigEndian.AppendUint32(append(sum, 0), uint32(len(data)))
	sum = append(sum, data...)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli)))
}

// rare adds what the encoder makes hardly ever, or never.
func (v *vectors) rare() {
	// A page without a cell.
	s := newSite(323)
	w := s.groupOf(point.Int16, point.Float64)
	w.kinds = []int{noise, decimal}
	w.scan.Quality[1] = point.MakeQuality(point.Bad, point.Comm)
	w.scan.Stamp = s.stamp
	v.send(s, []bufferstore.Record{
		{Epoch: epoch, First: 1, Last: 1, Data: w.scan.Append(nil, w.schema)},
		{Epoch: epoch, First: 2, Last: 2, Data: w.scan.Append(nil, w.schema)},
	})

	// A float32 whose number, 2^62 * 2^128, is over the greatest.
	types := []byte{1, byte(point.Float32)}
	id := []byte("a schema")
	infinite := binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(math.Inf(1))))
	v.add(chunk(32, slices.Concat(
		stored(types),
		[]byte{1, 0}, id,
		stored([]byte{2, 1}),
		stored([]byte{0}),                     // no run of qualities
		stored([]byte{0, 0, 0, 0, 0, 2 << 6}), // constants, the last in binary form
		stored([]byte{0x80}),                  // exponent -128
		stored(binary.AppendVarint(make([]byte, 5), 1<<62)),
		[]byte{0}, // pools
	), types, slices.Concat([]byte{1}, id, make([]byte, 6), infinite)))

	// Floats of more binary places than there are decimals.
	s = newSite(326)
	w = s.groupOf(point.Float32, point.Float64)
	var recs []bufferstore.Record
	for n := range bufferstore.Seq(40) {
		x := float64(s.rng.IntN(1000)) / (1 << 30)
		w.scan.Stamp = s.stamp
		w.scan.Values = []uint64{uint64(math.Float32bits(float32(x))), math.Float64bits(x)}
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n + 1, Last: n + 1, Data: w.scan.Append(nil, w.schema)})
	}
	v.send(s, recs)
}

// chains adds batches of level B.
func (v *vectors) chains() {
	v.chain()
	v.forked()
	v.moving()
	v.converted()
	v.opaque()
}

// chain adds a chain of all that the generators make, which a schema joins that
// is known before, one that isn't, and one whose columns have fewer slots; and on
// which an epoch ends, and numbers are left out.
func (v *vectors) chain() {
	s := newSite(330)
	w := s.group(4)
	h := history
	h.Opening = &batch.Opening{Parent: bufferstore.Epoch{7}, First: 1}
	e := chained(s.lookup)
	e.Carry(false)
	v.add(encode(v.t, e, h, []bufferstore.Record{{Epoch: epoch, First: 1, Last: 1, Data: s.scan(w)}}))
	e.Acked(1)
	s.next++
	e.Carry(true)
	e.SetSlots(16)
	for n := range bufferstore.Seq(6) {
		if n == 2 {
			s.group(12)
		}
		if n == 4 {
			h.Epoch[7]++
			h.Opening = &batch.Opening{Parent: epoch, First: s.next}
		}
		s.next += n / 5 * 1000
		recs := s.records(25)
		for i := range recs {
			recs[i].Epoch = h.Epoch
		}
		h.Acked = recs[0].First - 1 - n
		v.add(encode(v.t, e, h, recs))
	}
}

// forked adds two batches that lean on the same one.
func (v *vectors) forked() {
	s := newSite(331)
	s.group(3)
	e := chained(s.lookup)
	v.add(encode(v.t, e, history, s.records(10)))
	e.Acked(s.next - 1)
	recs := s.records(10)
	v.add(encode(v.t, e, history, recs))
	e.Rewind()
	v.add(encode(v.t, e, history, recs[:4]))
}

// moving adds columns of every type that move in every way.
func (v *vectors) moving() {
	for kind := range kinds {
		s := newSite(332)
		w := s.groupOf(point.Bool, point.Int16, point.Uint16, point.Int32, point.Uint32, point.Int64, point.Uint64, point.Float32, point.Float64)
		for i := range w.kinds {
			w.kinds[i] = kind
		}
		e := chained(s.lookup)
		for range 2 {
			v.add(encode(v.t, e, history, s.records(20)))
		}
	}
}

// converted adds what converters make of counts: scaled, less a bias that
// follows them, scaled and rounded to decimals.
func (v *vectors) converted() {
	s := newSite(333)
	w := s.groupOf(point.Float32, point.Float32, point.Float64, point.Float64, point.Int64)
	e := chained(s.lookup)
	bias := float32(0)
	jump := 0
	var recs []bufferstore.Record
	for n := range 300 {
		wave := max((n+13)%200-100, 100-(n+13)%200)
		if n%40 == 0 {
			jump = s.rng.IntN(1 << 20)
		}
		counts := 4*wave + s.rng.IntN(41) - 20
		level := float32(float32(wave/4+s.rng.IntN(41)-20)*0.0003054) - bias
		if n%7 != 0 {
			level -= float32(level * 0.01)
			bias += float32(level * 0.01010101)
		}
		s.stamp.Boottime += time.Second
		s.stamp.Wall += 1000
		w.scan.Stamp = s.stamp
		w.scan.Values = []uint64{
			uint64(math.Float32bits(level)),
			uint64(math.Float32bits(float32(counts) * 0.0244)),
			math.Float64bits(float64(counts*1000/256) / 1000),
			math.Float64bits(float64(counts+jump) * 0.0244),
			uint64(counts*1000/256) << (n / 250 * 40),
		}
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: s.next, Last: s.next, Data: w.scan.Append(nil, w.schema)})
		s.next++
	}
	v.add(encode(v.t, e, history, recs))
}

// opaque adds records of texts and stamps.
func (v *vectors) opaque() {
	e := chained(none)
	stamp := point.Stamp{Boot: 1, Boottime: time.Hour, Wall: 1763820000000}
	datas := [][]byte{{}, {6}, {6, 0, 0, 0}}
	for n := range 14 {
		stamp.Boottime += time.Second
		stamp.Wall += 1000
		text := fmt.Sprintf(`{"ts":%d,"pump":"on"}`, stamp.Wall)
		switch n % 5 {
		case 2:
			text = fmt.Sprint("at ", stamp.Wall+10)
		case 3:
			text = time.UnixMilli(stamp.Wall).UTC().Format("2006-01-02T15:04:05.000") + " Pump on"
		}
		note := point.Note{Stamp: stamp, Topic: "note", Text: text}
		datas = append(datas, note.Append(nil))
	}
	var recs []bufferstore.Record
	for i, data := range datas {
		n := bufferstore.Seq(i + 1)
		recs = append(recs, bufferstore.Record{Epoch: epoch, First: n, Last: n, Data: data})
	}
	h := batch.Header{Lane: point.Message, Epoch: epoch}
	v.add(encode(v.t, e, h, recs[:9]), encode(v.t, e, h, recs[9:]))
}

// One byte of a payload that is another must not make other records.
func TestDecoderInPythonRefusesDamage(t *testing.T) {
	s := newSite(325)
	w := s.groupOf(point.Float32, point.Float64, point.Int16, point.Uint64)
	w.kinds = []int{decimal, few, noise, strange}
	h := history
	h.Opening = &batch.Opening{First: 1}
	p := encode(t, batch.NewEncoder(s.lookup), h, s.records(12))
	q, err := batch.NewChunkCodec(s.lookup).Seal(nil, s.records(12))
	if err != nil {
		t.Fatal(err)
	}
	var damaged [][]byte
	for _, p := range [][]byte{p, q} {
		for i := range p {
			for _, flip := range []byte{0xff, 1 << (i % 8)} {
				d := bytes.Clone(p)
				d[i] ^= flip
				damaged = append(damaged, d)
			}
			damaged = append(damaged, p[:i])
		}
		damaged = append(damaged, append(bytes.Clone(p), 0))
	}
	got, _ := python(t, "decoder.py", damaged)
	agree(t, damaged, got)
}

func TestDecoderInPythonRefusesDamageAlongAChain(t *testing.T) {
	s := newSite(334)
	w := s.groupOf(point.Float32, point.Int16)
	w.kinds = []int{decimal, noise}
	e := chained(s.lookup)
	payloads := [][]byte{encode(t, e, history, s.records(4))}
	p := encode(t, e, history, s.records(4))
	for i := range p {
		d := bytes.Clone(p)
		d[i] ^= 1 << (i % 8)
		payloads = append(payloads, d, p[:i])
	}
	payloads = append(payloads, p) // what was refused has left the chain as it was
	got, _ := python(t, "decoder.py", payloads)
	agree(t, payloads, got)
	if got[0] == nil || got[len(got)-1] == nil {
		t.Error("what is whole is refused")
	}
}
