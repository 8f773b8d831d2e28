package serial

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	bugst "go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// line is a pseudo-terminal; the name of its near end is what a port opens.
func line(t *testing.T) (far *os.File, device string) {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	device = near.Name()
	t.Cleanup(func() { far.Close() })
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	return far, device
}

func open(t *testing.T, c Config) *Port {
	t.Helper()
	p, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func openLine(t *testing.T) (far *os.File, p *Port) {
	t.Helper()
	far, device := line(t)
	return far, open(t, Config{Device: device, Baud: 9600})
}

// every holds each byte once.
func every() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func TestAllBytesPassBothWays(t *testing.T) {
	far, p := openLine(t)
	if n, err := p.Write(every()); n != 256 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	got := make([]byte, 256)
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, every()) {
		t.Fatalf("far end read % X, %v", got, err)
	}
	if _, err := far.Write(every()); err != nil {
		t.Fatal(err)
	}
	if err := p.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, every()) {
		t.Fatalf("port read % X, %v", got, err)
	}
}

func TestReadPastItsDeadlineSaysSo(t *testing.T) {
	_, p := openLine(t)
	for _, wait := range []time.Duration{-time.Second, 0, 20 * time.Millisecond} {
		if err := p.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		n, err := p.Read(make([]byte, 8))
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read with a deadline in %v = %d, %v", wait, n, err)
		}
	}
}

func TestReadOfNothingIsNoError(t *testing.T) {
	_, p := openLine(t)
	if n, err := p.Read(nil); n != 0 || err != nil {
		t.Errorf("Read(nil) = %d, %v", n, err)
	}
}

func TestDeadlineAndCloseWakeAReadThatWaits(t *testing.T) {
	_, p := openLine(t)
	wakes := []struct {
		wake func() error
		want error
	}{
		{func() error { return p.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		{func() error { return p.SetReadDeadline(time.Time{}) }, nil},
		{p.Close, os.ErrClosed},
	}
	for _, w := range wakes {
		if w.want == nil {
			if err := w.wake(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		result := make(chan error)
		go func() {
			_, err := p.Read(make([]byte, 8))
			result <- err
		}()
		if err := w.wake(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, w.want) {
			t.Errorf("Read = %v, want %v", err, w.want)
		}
	}
}

func TestPortIsOpenOnce(t *testing.T) {
	_, device := line(t)
	c := Config{Device: device, Baud: 9600}
	p := open(t, c)
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("second Open = %v, want port in use", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, c)
}

// A process that was killed can't give the port back; the next one must get it.
func TestPseudoTerminalIsNotLeftExclusive(t *testing.T) {
	_, p := openLine(t)
	if exclusive, err := unix.IoctlGetInt(p.companion.fd, unix.TIOCGEXCL); exclusive != 0 || err != nil {
		t.Errorf("TIOCGEXCL = %d, %v", exclusive, err)
	}
}

func TestChildProcessDoesNotInheritPort(t *testing.T) {
	_, p := openLine(t)
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil || strings.Contains(string(out), p.config.Device) {
		t.Errorf("descriptors of a child (%v):\n%s", err, out)
	}
}

func TestPortNeedsALowDescriptor(t *testing.T) {
	_, device := line(t)
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Skip("too few descriptors allowed:", err)
		}
		defer f.Close()
		if f.Fd() >= maxFD-1 {
			break
		}
	}
	if _, err := Open(Config{Device: device, Baud: 9600}); err == nil || !strings.Contains(err.Error(), "descriptor below 1000") {
		t.Errorf("Open = %v", err)
	}
}

func TestStuckWriteEndsAtItsDeadline(t *testing.T) {
	_, p := openLine(t) // nobody reads the far end
	began := time.Now()
	if err := p.SetWriteDeadline(began.Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := p.Write(make([]byte, 1<<20))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %d, %v", n, err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := p.Write([]byte{1}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("next Write = %v, want %v", err, os.ErrClosed)
	}
	select {
	case <-p.writing:
	default:
		t.Error("the writer is still at it")
	}
	open(t, p.config)
}

func TestCloseEndsAStuckWrite(t *testing.T) {
	far, p := openLine(t)
	result := make(chan error)
	go func() {
		_, err := p.Write(make([]byte, 1<<20))
		result <- err
	}()
	for arrived(t, far) < 4000 {
		runtime.Gosched()
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write = %v", err)
	}
}

// arrived returns how many bytes the far end could read.
func arrived(t *testing.T, far *os.File) int {
	t.Helper()
	n, err := unix.IoctlGetInt(int(far.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWritePastItsDeadlineLeavesThePortOpen(t *testing.T) {
	_, p := openLine(t)
	if err := p.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte{1}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %v", err)
	}
	if err := p.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte{1}); err != nil {
		t.Error(err)
	}
}

func TestUnpluggedPortSaysSoAndOpensAgain(t *testing.T) {
	link := filepath.Join(t.TempDir(), "port")
	plug := func() *os.File {
		far, device := line(t)
		if err := os.Symlink(device, link); err != nil {
			t.Fatal(err)
		}
		return far
	}
	far := plug()
	c := Config{Device: link, Baud: 9600}
	p := open(t, c)
	if err := errors.Join(far.Close(), os.Remove(link)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 8)); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Read = %v", err)
	}
	if _, err := p.Write([]byte{1}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Write = %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without an adapter = %v", err)
	}
	far = plug() // under another number, which the link hides
	p = open(t, c)
	if _, err := p.Write([]byte{42}); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 1); read(t, far, b) != 1 || b[0] != 42 {
		t.Errorf("the new adapter sent % X", b)
	}
}

// read reads once from the far end.
func read(t *testing.T, far *os.File, b []byte) int {
	t.Helper()
	n, err := far.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An adapter that comes back under another number while the old one is still
// held: the link leads to the new one.
func TestLinkLeadsToAnotherDevice(t *testing.T) {
	link := filepath.Join(t.TempDir(), "by-id")
	_, first := line(t)
	far, second := line(t)
	if err := os.Symlink(first, link); err != nil {
		t.Fatal(err)
	}
	c := Config{Device: link, Baud: 9600}
	open(t, c)
	if err := errors.Join(os.Remove(link), os.Symlink(second, link)); err != nil {
		t.Fatal(err)
	}
	p := open(t, c)
	if _, err := p.Write([]byte{42}); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 1); read(t, far, b) != 1 || b[0] != 42 {
		t.Errorf("the second device sent % X", b)
	}
	if _, err := Open(Config{Device: first, Baud: 9600}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the first device opens twice: %v", err)
	}
}

func TestUnsupportedIsNoError(t *testing.T) {
	_, device := line(t)
	p := open(t, Config{Device: device, Baud: 9600, RS485: &RS485{}})
	if e, ok := p.LineErrors(); ok || e != (LineErrors{}) {
		t.Errorf("LineErrors of a pseudo-terminal = %+v, %v", e, ok)
	}
}

// A pseudo-terminal keeps speed and stop bits, not parity and data bits.
func TestSettingsReachTheDriver(t *testing.T) {
	_, device := line(t)
	p := open(t, Config{Device: device, Baud: 12345, Parity: MarkParity, StopBits: 2})
	s, err := unix.IoctlGetTermios(p.companion.fd, unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	if s.Ospeed != 12345 || s.Cflag&unix.CSTOPB == 0 || s.Cflag&unix.CMSPAR == 0 || s.Cflag&unix.PARODD == 0 {
		t.Errorf("speed %d, flags %#o", s.Ospeed, s.Cflag)
	}
}

// brokenLib panics as the library does for a descriptor of 1024 and more.
type brokenLib struct{ bugst.Port }

func (brokenLib) Read([]byte) (int, error) { panic("index out of range") }

func TestPanicOfTheLibraryIsAnErrorOfThePort(t *testing.T) {
	inbox, outlet := net.Pipe()
	p := &Port{lib: brokenLib{}, inbox: inbox}
	p.pump.Go(func() { p.take(outlet) })
	if _, err := p.Read(make([]byte, 8)); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("Read = %v", err)
	}
	p.pump.Wait()
}
