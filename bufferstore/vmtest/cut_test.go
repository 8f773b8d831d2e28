//go:build linux && amd64

package vmtest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestCutTakesUnflushedSectorsOnly(t *testing.T) {
	const sectors = 64
	image, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = image.Close() }() // checked by reading
	if err := image.Truncate(sectors * sectorSize); err != nil {
		t.Fatal(err)
	}
	d, err := newDisk(image)
	if err != nil {
		t.Fatal(err)
	}
	write := func(fill byte, n, at int64) {
		if err := d.write(bytes.Repeat([]byte{fill}, int(n*sectorSize)), at*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
	tears := 0
	for seed := range uint64(50) {
		write('a', sectors, 0)
		d.flush()
		write('b', 32, 16)
		write('c', 8, 24)
		unflushed, lost, err := d.cut(rand.New(rand.NewPCG(seed, 0)))
		if err != nil || unflushed != 32 {
			t.Fatalf("%d sectors unflushed, want 32: %v", unflushed, err)
		}
		b := make([]byte, sectors*sectorSize)
		if _, err := image.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		fellBack := 0
		for i := range int64(sectors) {
			got, written := b[i*sectorSize], byte('b')
			if i >= 24 && i < 32 {
				written = 'c'
			}
			if !bytes.Equal(b[i*sectorSize:(i+1)*sectorSize], bytes.Repeat([]byte{got}, sectorSize)) {
				t.Errorf("seed %d: sector %d is torn", seed, i)
			}
			switch {
			case i >= 16 && i < 48 && got == 'a':
				fellBack++
			case i >= 16 && i < 48 && got != written, (i < 16 || i >= 48) && got != 'a':
				t.Errorf("seed %d: sector %d holds %c", seed, i, got)
			}
		}
		if fellBack != lost {
			t.Errorf("seed %d: %d sectors fell back, told %d", seed, fellBack, lost)
		}
		if lost > 0 && lost < 32 {
			tears++
		}
	}
	if tears < 10 {
		t.Errorf("only %d of 50 cuts left a part", tears)
	}
}
