package batch

import "math"

// planes are the tokens of column pages, one plane a page.
type planes struct {
	b    []byte
	lens []int
}

// pool gathers planes whose tokens are about equally distributed, so that they
// share the tables of one section.
type pool struct {
	count [tokens]uint32
	n     uint32
	b     []byte
}

// maxPools bounds how many there are in a batch.
const maxPools = 64

// openCost is what another pool costs beside the table: the section's head and a share of the coder's state.
const openCost = 32 * bit

// pooler puts planes into pools, reusing its memory.
type pooler struct {
	pools  []*pool
	used   int
	none   pool   // without a plane
	plane  tally  // of the plane that looks for its pool
	assign []byte // the pool of each plane
	b      []byte // the tokens of all pools
}

// sort puts every plane where it costs least, in order, and returns the pools.
func (p *pooler) sort(ps planes) []*pool {
	p.used, p.assign = 0, p.assign[:0]
	b := ps.b
	for _, n := range ps.lens {
		p.add(b[:n])
		b = b[n:]
	}
	p.fill(ps)
	return p.pools[:p.used]
}

// fill gives the pools their tokens.
func (p *pooler) fill(ps planes) {
	p.b = resize(p.b, len(ps.b))
	b := p.b
	for _, k := range p.pools[:p.used] {
		k.b, b = b[:0:k.n], b[k.n:]
	}
	b = ps.b
	for i, n := range ps.lens {
		k := p.pools[p.assign[i]]
		k.b, b = append(k.b, b[:n]...), b[n:]
	}
}

func (p *pooler) add(plane []byte) {
	p.plane.clear()
	for _, t := range plane {
		p.plane.add(t)
	}
	n := uint32(len(plane))
	best, least := p.used, openCost+p.none.joined(n, &p.plane)
	if p.used == maxPools {
		least = math.MaxInt64
	}
	for i, k := range p.pools[:p.used] {
		if c := k.joined(n, &p.plane); c < least {
			best, least = i, c
		}
	}
	k := p.open(best)
	for _, t := range p.plane.seen {
		k.count[t] += p.plane.count[t]
	}
	k.n += n
	p.assign = append(p.assign, byte(best))
}

// open returns pool i, which may be the next one not yet used.
func (p *pooler) open(i int) *pool {
	if i == len(p.pools) {
		p.pools = append(p.pools, new(pool))
	}
	if i == p.used {
		*p.pools[i] = pool{}
		p.used++
	}
	return p.pools[i]
}

// joined returns what a plane of n tokens adds to the cost of the pool.
func (k *pool) joined(n uint32, plane *tally) int64 {
	cost := xlog(k.n+n) - xlog(k.n)
	for _, t := range plane.seen {
		if k.count[t] == 0 {
			cost += symbolCost
		}
		cost -= xlog(k.count[t]+plane.count[t]) - xlog(k.count[t])
	}
	return cost
}

// planeReader gives planes back, in order.
type planeReader struct {
	assign []byte
	pools  [][]byte
	bad    bool
}

// next returns the next plane, of n tokens.
func (r *planeReader) next(n int) []byte {
	if len(r.assign) == 0 || int(r.assign[0]) >= len(r.pools) || len(r.pools[r.assign[0]]) < n {
		r.bad = true
		return nil
	}
	k := &r.pools[r.assign[0]]
	plane := (*k)[:n]
	*k, r.assign = (*k)[n:], r.assign[1:]
	return plane
}
