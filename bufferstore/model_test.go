package bufferstore

import (
	"bytes"
	"compress/flate"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// model is what a store must be, kept the simple way.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	dir   string
	o     Options
	disk  *card
	e     engine
	seed  uint64
	store *Store
	lanes map[string]*laneModel
	log   []string // what was done
}

type laneModel struct {
	recs    []recModel // by number, from 1
	synced  Seq        // Sync has returned nil for them
	thinned Seq        // dropped up to here
	acked   Seq        // by all cursors, at some time
	marks   map[string]marks
	saved   map[string]marks // as of the last good Sync
	lost    map[Seq]Reason   // as read
}

type recModel struct {
	epoch Epoch
	data  []byte
}

func (m *model) fatalf(format string, a ...any) {
	m.t.Helper()
	m.t.Logf("seed %d", m.seed)
	for _, line := range m.log[max(0, len(m.log)-*history):] {
		m.t.Log(line)
	}
	m.t.Fatalf(format, a...)
}

func (m *model) did(format string, a ...any) { m.log = append(m.log, fmt.Sprintf(format, a...)) }

// open opens the store, after a crash or at first.
func (m *model) open() {
	s, err := open(m.dir, m.o, m.e)
	if err != nil {
		m.fatalf("open: %v", err)
	}
	m.store = s
	m.disk.attach(s)
	m.did("open: epoch %s", s.Epoch())
	for _, o := range m.o.Lanes {
		l, lane := m.lane(o.Name)
		if got := lane.Durable(); got < l.synced || got > Seq(len(l.recs)) {
			m.fatalf("%s: durable is %d after opening, synced was %d, appended %d", o.Name, got, l.synced, len(l.recs))
		}
		l.recs = l.recs[:lane.Durable()]
		l.synced = lane.Durable()
		for name := range l.marks {
			c, was := lane.Cursor(name), l.saved[name]
			if c.Acked() < was.acked || c.Acked() > l.marks[name].acked {
				m.fatalf("%s: cursor %s acked %d after opening, synced %d, set %d", o.Name, name, c.Acked(), was.acked, l.marks[name].acked)
			}
			l.marks[name] = marks{sent: c.Sent(), acked: c.Acked()}
		}
		sp := lane.Spans()
		if last := sp[len(sp)-1]; last.Epoch != s.Epoch() || last.First != l.synced+1 || last.Last != l.synced {
			m.fatalf("%s: span of a fresh opening: %+v", o.Name, last)
		}
	}
}

func (m *model) lane(name string) (*laneModel, *Lane) { return m.lanes[name], m.store.Lane(name) }

func (m *model) any() string { return m.o.Lanes[m.rng.IntN(len(m.o.Lanes))].Name }

func (m *model) append() {
	name := m.any()
	l, lane := m.lane(name)
	var batch [][]byte
	for range m.rng.IntN(20) {
		b := bytes.Repeat([]byte(fmt.Sprint(m.rng.Uint64())), m.rng.IntN(100))
		if m.rng.IntN(1000) == 0 {
			b = make([]byte, MaxRecord+1-m.rng.IntN(3))
		}
		batch = append(batch, b)
		l.recs = append(l.recs, recModel{m.store.Epoch(), bytes.Clone(b)})
	}
	last := lane.Append(batch...)
	for _, b := range batch {
		clear(b) // a copy was taken
	}
	m.did("%s: append %d, last %d", name, len(batch), last)
	if last != Seq(len(l.recs)) {
		m.fatalf("%s: append returned %d, want %d", name, last, len(l.recs))
	}
}

func (m *model) sync() {
	err := m.store.Sync(m.t.Context())
	m.did("sync: %v", err)
	if err != nil && !errors.Is(err, errCard) {
		m.fatalf("sync: %v", err)
	}
	if err != nil {
		return
	}
	for name, l := range m.lanes {
		l.synced = Seq(len(l.recs))
		if got := m.store.Lane(name).Durable(); got != l.synced {
			m.fatalf("%s: durable %d after a sync, want %d", name, got, l.synced)
		}
		l.saved = map[string]marks{}
		for cursor, c := range l.marks {
			l.saved[cursor] = c
		}
	}
	if st := m.store.Stats(); st.Pending != 0 || st.SyncError != nil || m.used() > m.store.budget()+64<<10 { // segments come in whole pages
		m.fatalf("after a sync: %+v, budget %d", st, m.store.budget())
	}
}

func (m *model) used() (sum int64) {
	for _, l := range m.store.Stats().Lanes {
		sum += l.Bytes
	}
	return sum
}

// move moves a cursor; one may be behind for ever, which then holds its lane.
func (m *model) move() {
	name := m.any()
	l, lane := m.lane(name)
	cursor := []string{"hub", "hub", "hub", "second"}[m.rng.IntN(4)]
	c := lane.Cursor(cursor)
	end := lane.Durable()
	upTo := Seq(m.rng.Uint64N(uint64(end) + 3))
	was := marks{sent: c.Sent(), acked: c.Acked()}
	want := was
	if m.rng.IntN(2) == 0 {
		c.SetSent(upTo)
		want.sent = max(was.acked, min(upTo, end))
	} else {
		c.Ack(upTo)
		want.acked = max(was.acked, min(upTo, end))
		want.sent = max(was.sent, want.acked)
	}
	got := marks{sent: c.Sent(), acked: c.Acked()}
	m.did("%s: cursor %s to %d: %+v -> %+v", name, cursor, upTo, was, got)
	if got != want {
		m.fatalf("%s: cursor %s moved to %d of %d: got %+v, want %+v", name, cursor, upTo, end, got, want)
	}
	l.marks[cursor] = got
	acked := end
	for _, c := range l.marks {
		acked = min(acked, c.acked)
	}
	l.acked = max(l.acked, acked)
}

func (m *model) drop() {
	name := m.any()
	l, lane := m.lane(name)
	upTo := Seq(m.rng.Uint64N(uint64(len(l.recs)) + 2))
	lane.Drop(upTo, Thinned)
	m.did("%s: drop up to %d", name, upTo)
	l.thinned = max(l.thinned, min(upTo, Seq(len(l.recs))))
}

// read reads a lane from anywhere and checks every number.
func (m *model) read(name string, from Seq) {
	l, lane := m.lane(name)
	next, end := max(from, 1), lane.Durable()
	for rec, err := range lane.Records(from) {
		if err != nil || rec.First != next || rec.Last < rec.First || rec.Last > end {
			m.fatalf("%s: read from %d: at %d of %d: %+v, %v", name, from, next, end, rec, err)
		}
		for n := rec.First; n <= rec.Last; n++ {
			m.check(name, l, n, rec)
		}
		next = rec.Last + 1
	}
	if next != max(end+1, from, 1) {
		m.fatalf("%s: read from %d ended before %d, durable is %d", name, from, next, end)
	}
}

func (m *model) check(name string, l *laneModel, n Seq, rec Record) {
	want := l.recs[n-1]
	if rec.Epoch != want.epoch {
		m.fatalf("%s: %d is of epoch %s, want %s (%+v)", name, n, rec.Epoch, want.epoch, rec)
	}
	was, lost := l.lost[n]
	if rec.Lost == Kept {
		if rec.First != rec.Last || !bytes.Equal(rec.Data, want.data) {
			m.fatalf("%s: %d: wrong record of %d bytes, want %d", name, n, len(rec.Data), len(want.data))
		}
		if lost {
			m.fatalf("%s: %d was lost, %s, and is back", name, n, was)
		}
		return
	}
	if lost && was != rec.Lost {
		m.fatalf("%s: %d was %s and is %s", name, n, was, rec.Lost)
	}
	l.lost[n] = rec.Lost
	may := false
	switch rec.Lost {
	case TooLarge:
		may = len(want.data) > MaxRecord
	case Expired:
		may = n <= l.acked
	case Thinned:
		may = n <= l.thinned
	case Evicted:
		may = m.policy(name) != Keep
	case Refused:
		may = true // the budget is held by others
	}
	if !may {
		m.fatalf("%s: %d is lost: %s", name, n, rec.Lost)
	}
}

func (m *model) policy(name string) Policy {
	for _, o := range m.o.Lanes {
		if o.Name == name {
			return o.Policy
		}
	}
	return Keep
}

func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 40:
		m.append()
	case n < 55:
		m.sync()
	case n < 70:
		m.move()
	case n < 72:
		m.drop()
	case n < 85:
		name := m.any()
		m.read(name, Seq(m.rng.Uint64N(uint64(len(m.lanes[name].recs))+5)))
	case n < 93:
		time.Sleep(time.Duration(m.rng.IntN(90)) * time.Second)
		m.did("sleep, maintain")
		m.store.maintain()
	case n < 96:
		m.disk.mu.Lock()
		m.disk.fails = m.rng.IntN(4)
		m.did("card fails %d times", m.disk.fails)
		m.disk.mu.Unlock()
	case n >= 97:
		m.crash()
	}
}

// crash ends the store as a power cut does, and begins again.
func (m *model) crash() {
	m.did("crash")
	m.disk.mu.Lock()
	m.disk.fails = 0
	m.disk.mu.Unlock()
	if err := m.store.Close(); err != nil {
		m.fatalf("close: %v", err)
	}
	m.open()
}

func newModel(t *testing.T, seed uint64, dir string, e engine) *model {
	m := &model{
		t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), dir: dir, e: e, disk: new(card),
		lanes: map[string]*laneModel{},
		o: Options{
			Lanes: []LaneOptions{
				{Name: "alarm", Policy: Keep, Retain: 2 * time.Minute},
				{Name: "custody", Policy: Keep},
				{Name: "history", Policy: DropOldest, Retain: 5 * time.Minute},
				{Name: "trend", Policy: Thin},
			},
			HeadBytes:  []int64{64 << 10, 256 << 10}[seed%2],
			Quota:      []int64{256 << 10, 2 << 20, 1 << 40}[seed%3],
			MaxPending: 64 << 20,
		},
	}
	if seed%2 == 0 {
		m.o.Codec = squeeze{}
	}
	for _, o := range m.o.Lanes {
		m.lanes[o.Name] = &laneModel{marks: map[string]marks{}, saved: map[string]marks{}, lost: map[Seq]Reason{}}
	}
	return m
}

func (m *model) run(steps int) {
	m.open()
	for range steps {
		m.step()
	}
	for name := range m.lanes {
		m.read(name, 1)
	}
	if err := m.store.Close(); err != nil {
		m.fatalf("close: %v", err)
	}
}

var history = flag.Int("history", 30, "how many of the last steps of a failed history are told")

var seeds = flag.Int("seeds", 12, "how many histories TestEveryNumberIsARecordOrInAGap plays")

func TestEveryNumberIsARecordOrInAGap(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		for seed := range uint64(*seeds) {
			synctest.Test(t, func(t *testing.T) { newModel(t, seed, t.TempDir(), e).run(300) })
		}
	})
}

// squeeze is a codec that refuses some runs of records.
type squeeze struct{}

func (squeeze) Seal(dst []byte, recs []Record) ([]byte, error) {
	if recs[0].First%5 == 0 {
		return nil, errors.New("refused")
	}
	var raw []byte
	for _, r := range recs {
		raw = appendRaw(raw, r.Data)
	}
	b := bytes.NewBuffer(dst)
	w, err := flate.NewWriter(b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(raw)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func (squeeze) Open(chunk []byte, yield func(Record) bool) error {
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(chunk)))
	if err != nil {
		return err
	}
	return eachRaw(raw, func(rec []byte) bool { return yield(Record{Data: rec}) })
}
