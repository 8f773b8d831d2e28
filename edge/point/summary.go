package point

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Statistic says what a column of a summary holds. The values are part of the
// schema's canonical form.
type Statistic uint8

// The statistics, in the order of a summary's columns.
const (
	AsRead Statistic = iota // none: the reading itself
	Count                   // how many good readings the other three stand for
	Min                     // the least good reading, by engineering value
	Mean                    // the mean of the good readings
	Max                     // the greatest good reading, by engineering value
	Last                    // the last reading, good or not
)

var statisticNames = [...]string{"", "count", "min", "mean", "max", "last"}

// Statistics is a set of statistics.
type Statistics uint8

// Weighted is the set that summaries are summed up by.
const Weighted = Statistics(1<<Count | 1<<Min | 1<<Mean | 1<<Max)

// ParseStatistic is the inverse of String; ok is false for an unknown name.
func ParseStatistic(name string) (st Statistic, ok bool) {
	i := slices.Index(statisticNames[1:], name)
	return Statistic(i + 1), i >= 0
}

// With returns the set with st in it.
func (ss Statistics) With(st Statistic) Statistics { return ss | 1<<st }

// Has reports whether st is in the set.
func (ss Statistics) Has(st Statistic) bool { return ss&(1<<st) != 0 }

// Len returns how many there are in the set.
func (ss Statistics) Len() int { return bits.OnesCount8(uint8(ss)) }

// String returns the name used in exports, such as "mean"; empty for AsRead.
func (st Statistic) String() string { return statisticNames[st] }

// weighted is how many columns a point takes in a summary that can be summed up.
const weighted = int(Max)

// Summary sums up the scans of one schema over intervals of boottime, which
// begin at its multiples: one record an interval, stamped as the first scan in
// it. Scans of a schema have rising stamps. So summaries of one schema with the
// same boot and boottime begin with the same scan: they were made again, and the
// one of the greatest count has all that is in the others. Any others are of
// different scans, and those of one interval are to be weighed by their counts.
//
// Of each point there are some of: the count of good readings, their least, mean
// and greatest, the last reading. Where none was good the count is zero, and the
// three hold the last reading whatever it was, under its quality. What a rule left
// out is not in them: mean and count are of what was recorded. A summary is itself
// a scan, of another schema, and summaries of the statistics Weighted are summed
// up like scans.
type Summary struct {
	source   *Schema
	interval time.Duration
	which    Statistics
	parts    []*Schema
	ids      []SchemaID // of parts

	scans int   // taken in
	first Stamp // of the scans taken in
	last  time.Duration
	sums  []sum // one a point
}

// NewSummary returns an empty summary of scans of s, of which it gives some of
// the statistics: of summaries the Weighted. It is nil where s is not of shorter
// intervals, or of summaries of other statistics.
func NewSummary(s *Schema, interval time.Duration, which Statistics) *Summary {
	if s.Interval >= interval || (s.Interval > 0 && !(s.weighted() && which == Weighted)) {
		return nil
	}
	m := &Summary{source: s, interval: interval, which: which, parts: s.summaries(interval, which)}
	points := 0
	for _, p := range m.parts {
		m.ids = append(m.ids, p.ID())
		points += len(p.Columns) / which.Len()
	}
	m.sums = make([]sum, points)
	return m
}

// Schemas returns the schemas that the summary's records name: one, or several
// where the columns of one would be more than MaxColumns. They follow from the
// source and the interval alone; summaries of summaries have those of readings.
func (m *Summary) Schemas() []*Schema { return m.parts }

// Add takes in a scan of the source schema. It returns false, and does nothing,
// where the scan is of another interval than those taken in before. A summary
// that is not newer than the one before was made again and is left out.
func (m *Summary) Add(sc *Scan) bool {
	at := sc.Stamp
	if m.scans > 0 && (at.Boot != m.first.Boot || at.Boottime/m.interval != m.first.Boottime/m.interval) {
		return false
	}
	if m.scans == 0 {
		m.first = at
		for i := range m.sums {
			m.sums[i] = sum{quality: Unrecorded, lastQuality: Unrecorded}
		}
	} else if m.source.Interval > 0 && at.Boottime <= m.last {
		return true
	}
	m.scans, m.last = m.scans+1, at.Boottime
	for i := range m.sums {
		if m.source.Interval == 0 {
			c := &m.source.Columns[i]
			m.sums[i].add(c, sumOf(c, sc.Values[i], sc.Quality[i]))
			continue
		}
		k := i * weighted
		m.sums[i].add(&m.source.Columns[k+1], sumIn(m.source.Columns[k:], sc.Values[k:], sc.Quality[k:]))
	}
	return true
}

// Records returns the records of what was taken in, one for each of Schemas, and
// empties the summary; none where there was nothing.
func (m *Summary) Records() (recs [][]byte) {
	if m.scans == 0 {
		return nil
	}
	m.scans = 0
	sums := m.sums
	for i, p := range m.parts {
		sc := Scan{Schema: m.ids[i], Stamp: m.first}
		n := len(p.Columns) / m.which.Len()
		for k := range p.Columns {
			sums[k/m.which.Len()].appendTo(&sc, &p.Columns[k])
		}
		sums = sums[n:]
		recs = append(recs, sc.Append(nil, p))
	}
	return recs
}

// sum is what a summary holds of one point.
type sum struct {
	count    uint32
	min, max uint64  // raw
	mean     float64 // not scaled
	quality  Quality // of all three; good where count > 0

	last        uint64 // raw
	lastQuality Quality
}

// sumOf returns the sum of a single reading.
func sumOf(c *Column, raw uint64, q Quality) sum {
	s := sum{min: raw, max: raw, mean: c.Type.Float(raw), quality: q, last: raw, lastQuality: q}
	switch {
	case q.Status() != Good || q == Unrecorded:
	case math.IsNaN(s.mean):
		s.quality = MakeQuality(Bad, ScaleError)
	default:
		s.count, s.quality = 1, 0
	}
	return s
}

// sumIn returns the sum that the first columns of a summary hold.
func sumIn(cs []Column, values []uint64, qs []Quality) sum {
	return sum{
		count: uint32(values[0]), min: values[1], max: values[3], mean: cs[2].Type.Float(values[2]), quality: qs[1],
	}
}

// add takes in what came after; c has the type and scale of min and max.
func (s *sum) add(c *Column, o sum) {
	if o.quality == Unrecorded {
		return
	}
	s.last, s.lastQuality = o.last, o.lastQuality
	if o.count == 0 && s.count > 0 {
		return
	}
	if s.count == 0 {
		*s = o
		return
	}
	if c.below(o.min, s.min) {
		s.min = o.min
	}
	if c.below(s.max, o.max) {
		s.max = o.max
	}
	s.count += o.count
	s.mean += (o.mean - s.mean) * float64(o.count) / float64(s.count)
}

// appendTo appends the statistic of a column to the values of a summary.
func (s *sum) appendTo(sc *Scan, c *Column) {
	raw, q := s.min, s.quality
	switch {
	case c.Statistic == Count:
		raw, q = uint64(s.count), 0
	case c.Statistic == Mean && c.Type == Float32:
		raw = uint64(math.Float32bits(float32(s.mean)))
	case c.Statistic == Mean:
		raw = math.Float64bits(s.mean)
	case c.Statistic == Max:
		raw = s.max
	case c.Statistic == Last:
		raw, q = s.last, s.lastQuality
	}
	sc.Values = append(sc.Values, raw)
	sc.Quality = append(sc.Quality, q)
}

// below reports whether raw bits a stand for less than b, scaled.
func (c *Column) below(a, b uint64) bool {
	if c.Scale.Factor < 0 {
		a, b = b, a
	}
	return c.Type.less(a, b)
}

// weighted reports whether the columns of s are the statistics Weighted of
// points, as they are in a summary.
func (s *Schema) weighted() bool {
	if len(s.Columns)%weighted != 0 {
		return false
	}
	for i, c := range s.Columns {
		if c.Statistic != Count+Statistic(i%weighted) || c.ID != s.Columns[i-i%weighted].ID {
			return false
		}
	}
	return true
}

// summaries returns the schemas of the summaries of scans of s.
func (s *Schema) summaries(interval time.Duration, which Statistics) (parts []*Schema) {
	most := MaxColumns / which.Len()
	if s.Interval > 0 {
		most *= which.Len()
	}
	for columns := range slices.Chunk(s.Columns, most) {
		p := &Schema{Group: s.Group, Interval: interval}
		for _, c := range columns {
			if s.Interval > 0 {
				c.Tag = strings.TrimSuffix(c.Tag, ending(c.Statistic, s.Interval))
				p.Columns = append(p.Columns, c.named(interval))
				continue
			}
			for st := Count; st <= Last; st++ {
				if which.Has(st) {
					p.Columns = append(p.Columns, c.statistic(st).named(interval))
				}
			}
		}
		parts = append(parts, p)
	}
	return parts
}

// statistic returns the column of a statistic of c.
func (c Column) statistic(st Statistic) Column {
	c.Statistic, c.Rule = st, Rule{}
	switch {
	case st == Count:
		c.Type, c.Scale, c.Unit, c.Decimals = Uint32, NoScale, "", 0
	case st == Mean && (c.Type.Size() <= 2 || c.Type == Float32):
		c.Type = Float32
	case st == Mean:
		c.Type = Float64
	}
	return c
}

// named returns c with a tag that nobody takes for that of the reading, such as
// "PT-101.mean.1m".
func (c Column) named(interval time.Duration) Column {
	end := ending(c.Statistic, interval)
	c.Tag = c.Tag[:min(len(c.Tag), 255-len(end))] + end
	return c
}

func ending(st Statistic, interval time.Duration) string {
	d := interval.String()
	if strings.HasSuffix(d, "m0s") {
		d = strings.TrimSuffix(d, "0s")
	}
	if strings.HasSuffix(d, "h0m") {
		d = strings.TrimSuffix(d, "0m")
	}
	return "." + st.String() + "." + d
}
