package batch

// tally counts tokens.
type tally struct {
	count [tokens]uint32
	seen  []byte // those that occur
}

func (t *tally) add(token byte) {
	n := &t.count[token&(tokens-1)]
	if *n == 0 {
		t.seen = append(t.seen, token)
	}
	*n++
}

func (t *tally) clear() {
	for _, k := range t.seen {
		t.count[k] = 0
	}
	t.seen = t.seen[:0]
}

// cost estimates the length of n residuals once packed: the entropy of their
// tokens, their rest bits, and a few bits a different token for the table.
func (t *tally) cost(n int) int64 {
	sum := xlog(uint32(n))
	for _, k := range t.seen {
		c := t.count[k]
		sum += symbolCost - xlog(c) + int64(c)*int64(untokens[k].rest)*bit
	}
	return sum
}

// symbolCost is what a symbol that occurs costs in a table.
const symbolCost = 4 * bit
