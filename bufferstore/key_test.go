package bufferstore

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "the well pumps 11.7 litres a second; "

// tell appends records with the secret, a head file or two, and maintains the store.
func tell(t *testing.T, s *Store, l *Lane) {
	t.Helper()
	for range 60 {
		l.Append([]byte(strings.Repeat(secret, 60)))
		mustSync(t, s)
		s.maintain()
	}
}

// traces counts how often the secret can be read in the files beneath dir.
func traces(t *testing.T, dir string) (n int) {
	t.Helper()
	for _, content := range contentsOf(t, dir) {
		n += strings.Count(content, secret)
	}
	return n
}

func secrets(t *testing.T, l *Lane) (n int) {
	t.Helper()
	for _, h := range holdings(t, l) {
		if h.data != strings.Repeat(secret, 60) {
			t.Fatalf("%d is %v", n+1, h)
		}
		n++
	}
	return n
}

func withKey(key byte, names ...string) Options {
	o := small(names...)
	o.Key = bytes.Repeat([]byte{key}, 32)
	return o
}

func TestNothingOfARecordIsOnDiskInTheClear(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		for _, codec := range []Codec{nil, squeeze{}} {
			dir, o := t.TempDir(), withKey(1, "a")
			o.Codec = codec
			for n := range 2 {
				s := mustOpen(t, dir, o, e)
				l := s.Lane("a")
				if n > 0 {
					noErr(t, os.Remove(filepath.Join(s.segments(), segmentName("a", l.current().segments[0].number), sealedName)))
				}
				tell(t, s, l) // and once through a repair
				if got := secrets(t, l); got != 60*(n+1) || len(l.current().segments) < 2 {
					t.Errorf("%d records, %d segments", got, len(l.current().segments))
				}
				mustClose(t, s)
			}
			if n := traces(t, dir); n != 0 {
				t.Errorf("read %d times", n)
			}
		}
	})
}

func TestWrongKeyTouchesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, withKey(1, "a"), segmentEngine)
	tell(t, s, s.Lane("a"))
	mustClose(t, s)
	// What a cut has left is not tidied up either.
	noErr(t, os.Mkdir(filepath.Join(dir, segmentsDir, "a-00000000000000ff.new"), 0o700))
	before, stamps := contentsOf(t, dir), stampsOf(t, dir)
	for _, o := range []Options{small("a"), withKey(2, "a"), withKey(2, "b")} {
		if _, err := Open(dir, o); !errors.Is(err, ErrKey) {
			t.Errorf("open: %v", err)
		}
		if _, err := OpenView(dir, o); !errors.Is(err, ErrKey) {
			t.Errorf("view: %v", err)
		}
	}
	if !maps.Equal(before, contentsOf(t, dir)) || !maps.Equal(stamps, stampsOf(t, dir)) {
		t.Error("the store has changed")
	}
	for _, o := range []Options{{Key: make([]byte, 16)}, {Key: []byte{}}} {
		if _, err := Open(dir, o); err == nil || errors.Is(err, ErrKey) {
			t.Errorf("a key of %d bytes: %v", len(o.Key), err)
		}
	}
	s = mustOpen(t, dir, withKey(1, "a"), segmentEngine)
	if n := secrets(t, s.Lane("a")); n != 60 {
		t.Errorf("%d records", n)
	}
	mustClose(t, s)
}

// stampsOf returns when the files and directories beneath dir were changed.
func stampsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	noErr(t, filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all[name] = info.ModTime().String() + info.Mode().String()
		}
		return err
	}))
	return all
}

func TestEncryptionCanBeTurnedOnLater(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, e engine) {
		dir := t.TempDir()
		s := mustOpen(t, dir, small("a"), e)
		tell(t, s, s.Lane("a"))
		mustClose(t, s)
		was := traces(t, filepath.Join(dir, segmentsDir))

		for n := range 2 {
			s = mustOpen(t, dir, withKey(1, "a"), e)
			tell(t, s, s.Lane("a"))
			if got := secrets(t, s.Lane("a")); got != 60*(n+2) {
				t.Errorf("%d records", got)
			}
			mustClose(t, s)
		}
		s = mustOpen(t, dir, withKey(1, "a"), e)
		old := s.Lane("a").current().segments
		if n := traces(t, filepath.Join(dir, segmentsDir)); was == 0 || n != was || len(old) < 4 {
			t.Errorf("the segments told %d times, tell %d times", was, n)
		}
		s.Lane("a").Cursor("hub").Ack(120)
		mustSync(t, s)
		s.maintain()
		tell(t, s, s.Lane("a"))
		mustClose(t, s)
		if n := traces(t, filepath.Join(dir, segmentsDir)); n != 0 {
			t.Errorf("delivered and given up, they still tell %d times", n)
		}
		if _, err := open(dir, small("a"), e); !errors.Is(err, ErrKey) {
			t.Errorf("open without the key: %v", err)
		}
	})
}

func TestDamageMatrixOfAnEncryptedStore(t *testing.T) {
	t.Parallel()
	matrix(t, newRelic(t, plainEngine{}, bytes.Repeat([]byte("k"), 32)), uint64(*places))
}

func TestViewTakesTheKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, withKey(1, "a"), segmentEngine)
	tell(t, s, s.Lane("a"))
	for running := range 2 {
		v, err := OpenView(dir, Options{Key: withKey(1).Key})
		noErr(t, err)
		n := 0
		for r, err := range v.Records("a", 1) {
			if n++; err != nil || string(r.Data) != strings.Repeat(secret, 60) {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		if n != 60 {
			t.Errorf("%d records", n)
		}
		if running == 0 {
			mustClose(t, s)
		}
	}
}
