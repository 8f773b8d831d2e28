package model

// columnModel is what a column that has changed has learnt, but for its slots.
type columnModel struct {
	form    form
	salt    uint32 // of the column's slots
	cells   uint32 // coded
	learnAt uint32 // cells when to learn the form again
	window  window

	last    int64 // step
	change  [2]int64
	mean    [2]int64 // of the steps, in 1/16: over few, over many
	error   [4]int64 // of the centres, in 2^-8
	same    uint8    // cells since the last change, up to asleep
	usual   usual    // of the changes
	rest    rest     // of m behind the step
	fine    rest     // of the value behind m
	inexact Bit      // whether there is any
	leaks   uint32   // of the last 4 changes
	weights weights
}

// rest is what numbers behind a step were.
type rest struct {
	last  int64
	usual usual
}

const (
	asleep      = 255
	firstLearn  = 2
	learnPeriod = 1024
)

// learning is how slowly the mixing weights learn.
func (m *columnModel) learning() uint {
	switch {
	case m.cells < 64:
		return 14
	case m.cells < 2048:
		return 15
	}
	return 16
}

// begin starts anew from the last values, oldest first, with m.form.
func (m *columnModel) begin(t Column, raws []uint64) {
	last := raws[len(raws)-1]
	if m.form.drifts {
		m.form.offset = m.form.grid(t, last) << 16
	}
	step := func(back int) int64 {
		return m.form.near(m.form.grid(t, raws[max(len(raws)-1-back, 0)]))
	}
	m.last = step(0)
	m.change = [2]int64{m.last - step(1), step(1) - step(2)}
	m.mean = [2]int64{m.last << 4, m.last << 4}
	m.error = [4]int64{}
	m.usual = usual(size(m.change[0])) << 8
	m.rest, m.fine = rest{usual: 1 << 8}, rest{usual: 1 << 8}
	m.leaks = 0
}

// cell codes a cell of a column that has a model and isn't asleep.
func (t *Table) cell(c *Coder, k *column, raw uint64) uint64 {
	m := k.model
	t.model = m
	centres := m.centres()
	centre := centres[m.centre()]
	t.between(m, centre)
	if !t.decide(c, 0, classSame, false, raw != k.last) {
		if m.same < asleep {
			m.same++
		}
		t.neighbour = 1
		m.add(m.last, &centres)
		k.learn(k.last)
		return k.last
	}
	m.same = 0
	k.last = t.changed(c, k, raw, centre, &centres)
	k.learn(k.last)
	return k.last
}

// changed codes the value of a cell that is known to have changed.
func (t *Table) changed(c *Coder, k *column, raw uint64, centre int64, centres *[4]int64) uint64 {
	m := k.model
	f := &m.form
	var at int64
	var step int64
	var leaked bool
	if !c.decoding {
		at = f.grid(k.Column, raw)
		step, leaked = f.split(at)
	}
	behind := f.step != 0 || f.kind != formInteger
	e := t.number(c, 1, classStep, m.usual.size(), behind || centre != m.last, step-centre)
	step = centre + e
	t.neighbour = 2 + rough(e)
	x := f.at(step)
	if f.leak != 0 {
		t.only(299)
		t.context[1] = hash(41, fine(e))
		t.context[2] = hash(42, fine(x))
		t.context[3] = hash(43, m.leaks)
		t.context[4] = hash64(hash(44, m.leaks), m.change[0])
		m.leaks = m.leaks << 1 & 15
		if t.decide(c, 0x400000, classLeaked, false, leaked) {
			x = f.leaked(x)
			m.leaks |= 1
		}
	}
	if f.step != 0 {
		t.only(99)
		t.context[1] = hash64(22, step)
		t.context[2] = hash64(23, m.rest.last)
		t.context[3] = hash(24, fine(x))
		t.context[4] = hash(25, fine(step-m.last))
		x += t.rest(c, 0x100000, &m.rest, true, at-x)
		f.drift(step, x)
	}
	got := f.value(k.Column, x)
	if f.kind != formInteger && c.Bit(&m.inexact, !c.decoding && got != raw) {
		t.only(199)
		t.context[1] = hash(32, uint32(size(x)))
		t.context[2] = hash64(33, m.fine.last)
		t.context[3] = hash64(34, x)
		v := k.ordered(got)
		got = k.raw(v + t.rest(c, 0x200000, &m.fine, false, k.ordered(raw)-v))
	}
	m.usual.add(e)
	m.add(step, centres)
	return got
}

func (t *Table) rest(c *Coder, id uint32, r *rest, canBeZero bool, v int64) int64 {
	v = t.number(c, id, classRest, r.usual.size(), canBeZero, v)
	r.usual.add(v)
	r.last = v
	return v
}

// centres are where the next step may lie: at the last one, on the line of the
// last two, at the means.
func (m *columnModel) centres() [4]int64 {
	return [4]int64{m.last, m.last + m.change[0], m.mean[0] >> 4, m.mean[1] >> 4}
}

// centre returns the one that has been best; the first two have an advantage.
func (m *columnModel) centre() (best int) {
	least := m.error[0] - m.error[0]>>3
	for i := 1; i < 4; i++ {
		if m.error[i] < least {
			best, least = i, m.error[i]
			if i == 1 {
				least -= least >> 3
			}
		}
	}
	return best
}

// between sets the contexts for a step about centre.
func (t *Table) between(m *columnModel, centre int64) {
	same := uint32(min(m.same, 3))
	t.context = [contexts]uint32{
		hash(1, same),
		hash64(hash64(2, m.last), centre-m.last),
		hash(4, rough(m.mean[0]>>4-centre)),
		hash(5, t.neighbour),
		hash(hash(3, rough(m.change[0])), rough(m.change[1])),
		hash(hash(9, uint32(m.usual.size())), same),
	}
}

// add takes a step up, of which centres were expected.
func (m *columnModel) add(step int64, centres *[4]int64) {
	for i, x := range centres {
		m.error[i] += (min(abs(step-x), 1<<40)<<8 - m.error[i]) >> 7
	}
	m.change = [2]int64{step - m.last, m.change[0]}
	m.last = step
	m.mean[0] += (step<<4 - m.mean[0]) >> 2
	m.mean[1] += (step<<4 - m.mean[1]) >> 5
}

// learn takes a value up, and when it is time looks for a better form.
func (k *column) learn(raw uint64) {
	m := k.model
	m.window.add(k.Width, raw)
	m.cells++
	if m.cells != m.learnAt {
		return
	}
	m.learnAt += min(m.learnAt, learnPeriod)
	raws := m.window.values()
	f := learn(k.Column, m.form, raws)
	if f == m.form {
		return
	}
	m.form = f
	m.salt += 0x9E3779B1
	m.begin(k.Column, raws)
}

// window holds the last values of a column.
type window struct {
	narrow []uint32 // of up to 32 bits
	wide   []uint64
	next   uint16 // to be replaced, once there are windowSize
}

const windowSize = 512

func (w *window) add(width uint8, raw uint64) {
	n := len(w.narrow) + len(w.wide)
	switch {
	case n < windowSize && width <= 32:
		w.narrow = append(w.narrow, uint32(raw))
		return
	case n < windowSize:
		w.wide = append(w.wide, raw)
		return
	case width <= 32:
		w.narrow[w.next] = uint32(raw)
	default:
		w.wide[w.next] = raw
	}
	w.next = (w.next + 1) % windowSize
}

// values returns them, oldest first.
func (w *window) values() []uint64 {
	raws := make([]uint64, 0, windowSize)
	for i := range w.narrow {
		raws = append(raws, uint64(w.narrow[(int(w.next)+i)%len(w.narrow)]))
	}
	for i := range w.wide {
		raws = append(raws, w.wide[(int(w.next)+i)%len(w.wide)])
	}
	return raws
}
