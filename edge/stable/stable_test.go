package stable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func save(t *testing.T, d *Dir, name, value string) {
	t.Helper()
	if err := d.Save(name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, d *Dir, name, want string) {
	t.Helper()
	got, err := d.Load(name)
	if err != nil || string(got) != want {
		t.Fatalf("Load(%q) = %q, %v; want %q", name, got, err, want)
	}
}

func TestSavedValueIsLoadedByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, path)
	for i := range 5 {
		value := fmt.Sprint("value ", i)
		save(t, d, "ledger", value)
		wantValue(t, open(t, path), "ledger", value)
	}
	save(t, d, "ledger", "")
	wantValue(t, open(t, path), "ledger", "")
}

func TestSaveTouchesOnlyTheFileThatIsNotTheNewest(t *testing.T) {
	d := open(t, t.TempDir())
	for i := range 5 {
		save(t, d, "ledger", fmt.Sprint("value ", i))
		newest, other := d.slots("ledger")
		before, _ := os.ReadFile(newest.file)
		save(t, d, "ledger", "next")
		if after, err := os.ReadFile(newest.file); string(after) != string(before) {
			t.Fatalf("save %d changed the newest copy: %v", i, err)
		}
		if newest, _ := d.slots("ledger"); newest.file != other.file {
			t.Fatalf("save %d did not go to %s", i, other.file)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(d.path, "*~")); left != nil {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestValueNeverSavedDoesNotExist(t *testing.T) {
	if _, err := open(t, t.TempDir()).Load("boots"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want fs.ErrNotExist", err)
	}
}

func TestListGivesEachNameOnceInOrder(t *testing.T) {
	d := open(t, t.TempDir())
	for _, name := range []string{"mark.hub", "ledger", "mark.copy", "mark", "mark.hub", "mark.0"} {
		save(t, d, name, "x")
	}
	os.WriteFile(filepath.Join(d.path, "mark.hub.0~"), nil, 0o600) // left by a crash
	got, err := d.List("mark")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"mark", "mark.0", "mark.copy", "mark.hub"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNamesThatLeaveTheFolderAreRefused(t *testing.T) {
	d := open(t, t.TempDir())
	for _, name := range []string{"", "a/b", "../a", "A", "a b", "a~", strings.Repeat("a", 101)} {
		if err := d.Save(name, nil); err == nil {
			t.Errorf("Save(%q) was accepted", name)
		}
		if _, err := d.Load(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load(%q) = %v", name, err)
		}
	}
}

func TestValueOverTheLimitIsRefusedAndTheLimitItselfIsNot(t *testing.T) {
	d := open(t, t.TempDir())
	if err := d.Save("big", make([]byte, MaxValue)); err != nil {
		t.Fatal(err)
	}
	if err := d.Save("big", make([]byte, MaxValue+1)); err == nil {
		t.Fatal("one byte too many was accepted")
	}
	if got, err := d.Load("big"); err != nil || len(got) != MaxValue {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
}

func TestOneDamagedFileFallsBackToTheOtherAndIsReported(t *testing.T) {
	for _, damaged := range []string{"ledger.0", "ledger.1"} {
		d := open(t, t.TempDir())
		save(t, d, "ledger", "one")
		save(t, d, "ledger", "two")
		file := filepath.Join(d.path, damaged)
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"two": "one", "one": "two"}[string(whole[header:len(whole)-4])]
		for bit := range len(whole) * 8 {
			b := append([]byte(nil), whole...)
			b[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			fresh := open(t, d.path)
			wantValue(t, fresh, "ledger", want)
			if fresh.Damage()["ledger"] == nil {
				t.Fatalf("%s bit %d: damage not reported", damaged, bit)
			}
		}
		save(t, d, "ledger", "three") // over the damaged file
		wantValue(t, d, "ledger", "three")
		save(t, d, "ledger", "four")
		fresh := open(t, d.path)
		wantValue(t, fresh, "ledger", "four")
		if got := fresh.Damage(); len(got) != 0 {
			t.Errorf("damage %v after both files were written anew", got)
		}
	}
}

func TestBothFilesDamagedIsAnErrorAndNotANewValue(t *testing.T) {
	d := open(t, t.TempDir())
	save(t, d, "boots", "one")
	save(t, d, "boots", "two")
	for _, f := range []string{"boots.0", "boots.1"} {
		if err := os.Truncate(filepath.Join(d.path, f), 9); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := d.Load("boots"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %q, %v", v, err)
	}
	if d.Damage()["boots"] == nil {
		t.Error("damage not reported")
	}
	save(t, d, "boots", "three")
	wantValue(t, d, "boots", "three")
}

// Save has three steps a crash can fall between or into: the temporary file,
// its rename, the sync of the folder. A disk that keeps the rename but not the
// bytes (no barriers) makes the third kind.
func TestCrashAtAnyStepLeavesTheOldOrTheNewValue(t *testing.T) {
	for saves := range 4 {
		before := open(t, t.TempDir())
		old := ""
		for i := range saves {
			old = fmt.Sprint("value ", i)
			save(t, before, "marks", old)
		}
		newest, other := before.slots("marks")
		written := encode(newest.revision+1, []byte("value new"))
		for n := range len(written) + 1 {
			zeroTail := append(append([]byte(nil), written[:n]...), make([]byte, len(written)-n)...)
			for _, file := range []string{other.file + "~", other.file} {
				for _, content := range [][]byte{written[:n], zeroTail} {
					crashed := open(t, copyDir(t, before.path))
					path := filepath.Join(crashed.path, filepath.Base(file))
					if err := os.WriteFile(path, content, 0o600); err != nil {
						t.Fatal(err)
					}
					checkAfterCrash(t, crashed, old, string(content) == string(written) && file == other.file)
				}
			}
		}
	}
}

func checkAfterCrash(t *testing.T, d *Dir, old string, complete bool) {
	t.Helper()
	got, err := d.Load("marks")
	switch {
	case complete:
		if string(got) != "value new" {
			t.Fatalf("got %q, %v after the last step", got, err)
		}
	case old == "":
		if err == nil {
			t.Fatalf("got %q where nothing was ever saved", got)
		}
	case string(got) != old:
		t.Fatalf("got %q, %v; want %q", got, err, old)
	}
	save(t, d, "marks", "value after")
	wantValue(t, d, "marks", "value after")
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestFullDiskLeavesTheOldValue(t *testing.T) {
	d := open(t, t.TempDir())
	save(t, d, "ledger", "one")
	save(t, d, "ledger", "two")
	_, other := d.slots("ledger")
	if err := os.Symlink("/dev/full", other.file+"~"); err != nil {
		t.Skip(err)
	}
	err := d.Save("ledger", []byte("three"))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "save ledger") {
		t.Fatalf("got %v, want no space left on device", err)
	}
	wantValue(t, d, "ledger", "two")
	save(t, d, "ledger", "three")
	wantValue(t, d, "ledger", "three")
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(1, nil))
	f.Add(encode(1<<60, []byte("a value")))
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		revision, value, err := decode(b)
		if err != nil {
			return
		}
		if diff := cmp.Diff(b, encode(revision, value)); diff != "" {
			t.Fatal(diff)
		}
	})
}
