package sim

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// onPTY serves a line on a pty until the test ends and returns its link.
func onPTY(t testing.TB, o Options) (l *Line, link string) {
	t.Helper()
	link = filepath.Join(t.TempDir(), "tty")
	open, opened := PTY(link), make(chan struct{}, 8)
	o.Open = func() (modbus.Conn, error) {
		defer func() { opened <- struct{}{} }()
		return open()
	}
	l = NewLine(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if _, err := os.Lstat(link); err == nil {
			t.Error("the link outlives the line")
		}
	})
	<-opened
	return l, link
}

// openTTY opens the clients' end without a serial library.
func openTTY(t testing.TB, link string) *os.File {
	t.Helper()
	f, err := os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestPTYServesUnitsInTurn(t *testing.T) {
	timing := modbus.LineTiming{Bit: time.Second / 115200, CharBits: 10}
	l, link := onPTY(t, Options{Timing: timing, Units: modbus.Units{1: unitOf(), 2: unitOf()}})
	c := modbus.NewClient(openTTY(t, link), modbus.RTU, timing)
	for i := range 20 {
		a, err := readWithin(t, 5*time.Second, c, modbus.UnitID(1+i%2), 1+i*5)
		if err != nil {
			t.Fatal(err)
		}
		if least := timing.Wire(8+7+i*10) + timing.T35(); a.Total < least {
			t.Errorf("%d registers in %v, the line needs %v", 1+i*5, a.Total, least)
		}
	}
	// The last answer is counted after it was written, and so read.
	if got := l.Counters(); got.Requests != 20 || got.Early+got.Collisions != 0 {
		t.Errorf("%+v, want 20 requests, none early", got)
	}
}

func TestKilledClientDoesNotKeepThePTY(t *testing.T) {
	_, link := onPTY(t, Options{Units: modbus.Units{1: unitOf()}})
	for range 2 {
		f := openTTY(t, link)
		if err := unix.IoctlSetInt(int(f.Fd()), unix.TIOCEXCL, 0); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
			t.Fatal(err)
		}
		if _, err := readWithin(t, 5*time.Second, modbus.NewClient(f, modbus.RTU, modbus.LineTiming{}), 1, 10); err != nil {
			t.Fatal(err)
		}
		f.Close() // without TIOCNXCL
	}
	f := openTTY(t, link)
	var exclusive int
	if exclusive, _ = unix.IoctlGetInt(int(f.Fd()), unix.TIOCGEXCL); exclusive != 0 {
		t.Error("the pty is still exclusive")
	}
}

func TestLineEndsThoughAClientHoldsThePTY(t *testing.T) {
	link := filepath.Join(t.TempDir(), "tty")
	open, opened := PTY(link), make(chan struct{}, 1)
	l := NewLine(Options{Units: unitOf(), Open: func() (modbus.Conn, error) {
		defer close(opened)
		return open()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	<-opened
	f := openTTY(t, link)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, err := f.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("read %d bytes, %v from a line that ended", n, err)
	}
}

func TestPTYReplacesOnlyAnOldLink(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	p, err := PTY(link)()
	if err != nil {
		t.Fatal(err)
	}
	if to, _ := os.Readlink(link); to == "/nowhere" {
		t.Error("the old link was kept")
	}
	p.Close()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := PTY(file)(); err == nil {
		p.Close()
		t.Error("a file was replaced by a link")
	}
}

// Two of the settings are wrong: too fast, and without parity.
func TestPTYKnowsTheClientsSettings(t *testing.T) {
	o := plantOf("19200-8E1", three())
	o.Lenient = true
	l, link := onPTY(t, o)
	ask := func(c serial.Config) error {
		c.Device = link
		port, err := serial.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		timing := modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}
		_, err = readWithin(t, 300*time.Millisecond, modbus.NewClient(port, modbus.RTU, timing), 3, 10)
		return err
	}
	for _, c := range []serial.Config{{Baud: 38400, Parity: serial.EvenParity}, {Baud: 19200}, {Baud: 19200, Parity: serial.OddParity}} {
		before := l.Counters().Received
		if err := ask(c); !errors.Is(err, modbus.ErrDamaged) && !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("%+v: got %v, want damage", c, err)
		}
		if l.Counters().Received == before {
			t.Errorf("%+v: the client's receiver found nothing wrong", c)
		}
	}
	if err := ask(serial.Config{Baud: 19200, Parity: serial.EvenParity}); err != nil {
		t.Errorf("at the units' settings: %v", err)
	}
}

// libmodbus, which mbpoll uses, sets INPCK with parity.
func TestPTYKnowsTheSettingsOfLibmodbus(t *testing.T) {
	if _, err := exec.LookPath("mbpoll"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	_, link := onPTY(t, plantOf("19200-8E1", three()))
	for parity, understood := range map[string]bool{"even": true, "none": false} {
		out, err := exec.Command("mbpoll", "-m", "rtu", "-a", "3", "-b", "19200", "-P", parity, "-o", "0.5", "-0", "-r", "100", "-c", "3", "-t", "4", "-1", "-q", link).CombinedOutput()
		if (err == nil) != understood || understood && !strings.Contains(string(out), "[102]: \t102") {
			t.Errorf("parity %s: %v\n%s", parity, err, out)
		}
	}
}

func TestParityIsReadFromWhatAPTYKeeps(t *testing.T) {
	const check, odd, sticky = unix.INPCK, unix.PARODD, unix.CMSPAR
	tests := []struct {
		iflag, cflag uint32
		want         string
	}{
		{0, 0, "9600-8N1"},
		{0, odd, "9600-8N1"},
		{check, 0, "9600-8E1"},
		{check, odd, "9600-8O1"},
		{check, odd | sticky, "9600-8M1"},
		{check, sticky | unix.CSTOPB, "9600-8S2"},
	}
	for _, tt := range tests {
		s := settingsFrom(&unix.Termios{Iflag: tt.iflag, Cflag: tt.cflag, Ospeed: 9600})
		if s.String() != tt.want {
			t.Errorf("flags %#o %#o: %v, want %s", tt.iflag, tt.cflag, s, tt.want)
		}
	}
}
