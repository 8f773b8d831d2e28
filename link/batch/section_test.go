package batch

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/fse"
	"github.com/klauspost/compress/huff0"
)

func TestSectionsOfEveryMethodComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	skewed := make([]byte, 3000)
	for i := range skewed {
		skewed[i] = byte(max(0, rng.IntN(40)-36))
	}
	uneven := make([]byte, 200)
	for i := range uneven {
		uneven[i] = byte(rng.IntN(1 + rng.IntN(12)))
	}
	random := make([]byte, 300)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for method, content := range [][]byte{
		methodStored: random, methodRepeated: make([]byte, 50), methodHuffman: uneven, methodFSE: skewed,
		methodZstd: bytes.Repeat([]byte("a register on a serial line "), 3000),
	} {
		var p packer
		s := p.append(nil, content)
		if got := int(s[0] & 7); got != method {
			t.Errorf("method %d, want %d", got, method)
		}
		src := source{b: s}
		u := unpacker{budget: maxBytes}
		if got := u.next(&src); !bytes.Equal(got, content) || src.bad || len(src.b) > 0 {
			t.Errorf("method %d: %d bytes came back of %d", method, len(got), len(content))
		}
		if n := maxBytes - u.budget; n != p.unpacked || method != methodStored && n != len(content) {
			t.Errorf("method %d: took %d of the budget, packer says %d", method, n, p.unpacked)
		}
	}
}

func TestSectionsShareOneBudget(t *testing.T) {
	var p packer
	s := p.append(p.append(nil, make([]byte, 60)), make([]byte, 60))
	src := source{b: s}
	u := unpacker{budget: 100}
	if u.next(&src); src.bad {
		t.Fatal("60 of 100 bytes were refused")
	}
	if u.next(&src); !src.bad {
		t.Error("120 of 100 bytes were unpacked")
	}
}

func TestMorePlanesThanPoolsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var ps planes
	var want [][]byte
	for i := range 100 { // each of two tokens of its own
		plane := make([]byte, 400)
		for k := range plane {
			plane[k] = byte(i + rng.IntN(2)*20)
		}
		ps.b = append(ps.b, plane...)
		ps.lens = append(ps.lens, len(plane))
		want = append(want, plane)
	}
	var p pooler
	pools := p.sort(ps)
	if len(pools) != maxPools {
		t.Errorf("%d pools, want %d", len(pools), maxPools)
	}
	r := planeReader{assign: p.assign}
	for _, k := range pools {
		r.pools = append(r.pools, slices.Clone(k.b))
	}
	for i := range want {
		if got := r.next(400); !bytes.Equal(got, want[i]) {
			t.Fatalf("plane %d differs", i)
		}
	}
}

// randomSection returns bytes such as sections have: tokens, noise, or what
// comes again and again.
func randomSection(rng *rand.Rand) []byte {
	b := make([]byte, 5+rng.IntN(1<<(3+rng.IntN(10))))
	low, spread, kind := rng.IntN(60), 1+rng.IntN(40), rng.IntN(4)
	for i := range b {
		switch {
		case kind == 0:
			b[i] = byte(rng.Uint32())
		case kind == 2:
			b[i] = byte(low + max(0, rng.IntN(60)-50))
		case kind == 1 && i > 30:
			b[i] = b[i-1-rng.IntN(1+rng.IntN(2)*20)]
		default:
			b[i] = byte(low + rng.IntN(1+rng.IntN(spread)))
		}
	}
	return b
}

func TestMethodsNotTriedWouldNotPay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var p packer
	ours, best := 0, 0
	for range 4000 {
		b := randomSection(rng)
		if repeated(b) {
			continue
		}
		packed, method := p.shortest(b)
		ours += len(packed) + min(method, 1)*2
		least := len(b)
		if c, _, err := huff0.Compress1X(b, new(huff0.Scratch)); err == nil {
			least = min(least, len(c)+2)
		}
		if c, err := fse.Compress(b, new(fse.Scratch)); err == nil {
			least = min(least, len(c)+2)
		}
		z := zstdEncoder().EncodeAll(b, nil)
		if n, ok := frameHeader(z, len(b)); ok {
			least = min(least, len(z)-n+2)
		}
		best += least
	}
	t.Logf("%d bytes, %d at best", ours, best)
	if ours > best+best/5000 {
		t.Errorf("%d bytes; by the best of all methods %d", ours, best)
	}
}
