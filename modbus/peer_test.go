package modbus_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
)

// need skips a test at a desk that lacks a program, and fails it in CI.
func need(t *testing.T, found error) {
	t.Helper()
	if found == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(found)
	}
	t.Skip(found)
}

func program(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, err)
}

// run starts a program, ends it with the test, and returns what it says about
// itself.
func run(t *testing.T, name string, args ...string) *bufio.Scanner {
	t.Helper()
	cmd := exec.Command(name, args...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return bufio.NewScanner(stderr)
}

// serialLine returns the two ends of a serial line without speed.
func serialLine(t *testing.T) (a, b string) {
	program(t, "socat")
	a, b = filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	log := run(t, "socat", "-d", "-d", "pty,raw,echo=0,link="+a, "pty,raw,echo=0,link="+b)
	for log.Scan() {
		if strings.Contains(log.Text(), "starting data transfer") {
			return a, b
		}
	}
	t.Fatal("socat made no line")
	return "", ""
}

func openPort(t *testing.T, device string) (*serial.Port, modbus.LineTiming) {
	c := serial.Config{Device: device, Baud: 19200}
	p, err := serial.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, modbus.LineTiming{Bit: c.Bit(), CharBits: c.CharBits()}
}

// await returns what a program says once it is ready.
func await(t *testing.T, log *bufio.Scanner) (said []string) {
	t.Helper()
	for log.Scan() {
		if words := strings.Fields(log.Text()); len(words) > 0 && words[0] == "ready" {
			return words[1:]
		}
	}
	t.Fatal("the peer does not come up")
	return nil
}

const python = "/usr/bin/python3" // Debian's, which has pymodbus

func pymodbus(t *testing.T) {
	t.Helper()
	need(t, exec.Command(python, "-c", "import pymodbus, serial, serial_asyncio").Run())
}

// compile makes a program that is linked to libmodbus.
func compile(t *testing.T, name string) (path string) {
	t.Helper()
	program(t, "gcc")
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "libmodbus").Output()
	need(t, err)
	path = filepath.Join(t.TempDir(), name)
	args := append([]string{"-o", path, "testdata/" + name + ".c"}, strings.Fields(string(flags))...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// dial returns a client on a TCP port of this machine.
func dial(t *testing.T, port string, f modbus.Framing) *modbus.Client {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return modbus.NewClient(conn, f, modbus.LineTiming{})
}

// onPort returns a client on a serial port.
func onPort(t *testing.T, device string, f modbus.Framing) *modbus.Client {
	t.Helper()
	port, timing := openPort(t, device)
	return modbus.NewClient(port, f, timing)
}

func TestPymodbusAnswersOurClient(t *testing.T) {
	t.Parallel()
	pymodbus(t)
	rtu, rtuFar := serialLine(t)
	ascii, asciiFar := serialLine(t)
	ports := await(t, run(t, python, "testdata/pymodbus_server.py", rtuFar, asciiFar))
	for f, c := range map[modbus.Framing]*modbus.Client{
		modbus.RTU:          onPort(t, rtu, modbus.RTU),
		modbus.ASCII:        onPort(t, ascii, modbus.ASCII),
		modbus.TCP:          dial(t, ports[0], modbus.TCP),
		modbus.RTUOverTCP:   dial(t, ports[1], modbus.RTUOverTCP),
		modbus.ASCIIOverTCP: dial(t, ports[2], modbus.ASCIIOverTCP),
	} {
		t.Run(f.String(), func(t *testing.T) {
			p := peer{t, c}
			p.exercise()
			p.exerciseMore()
			if f == modbus.TCP { // where it takes any unit
				return
			}
			if _, err := c.Do(t.Context(), 9, read(t, modbus.FuncReadCoils, 0, 1), 100*time.Millisecond); !errors.Is(err, modbus.ErrTimeout) {
				t.Errorf("absent unit: %v", err)
			}
			p.wantRegisters(read(t, modbus.FuncReadHoldingRegisters, 0, 1), 1000)
		})
	}
}

func TestLibmodbusAnswersOurClient(t *testing.T) {
	t.Parallel()
	server := compile(t, "libmodbus_server")
	near, far := serialLine(t)
	await(t, run(t, server, "rtu", far))
	port := await(t, run(t, server, "tcp"))[0]
	for f, c := range map[modbus.Framing]*modbus.Client{
		modbus.RTU: onPort(t, near, modbus.RTU),
		modbus.TCP: dial(t, port, modbus.TCP),
	} {
		t.Run(f.String(), func(t *testing.T) {
			p := peer{t, c}
			p.exercise()
			// What it has not it declines or does not hear.
			p.wantException(modbus.GetEventCounter(), modbus.IllegalFunction)
			if f == modbus.TCP {
				return
			}
			if _, err := c.Do(t.Context(), 1, modbus.ReadExceptionStatus(), 100*time.Millisecond); !errors.Is(err, modbus.ErrTimeout) {
				t.Errorf("function 7: %v", err)
			}
			p.wantRegisters(read(t, modbus.FuncReadHoldingRegisters, 0, 1), 1000)
		})
	}
}

// peer is a unit that another implementation keeps: register n holds n + 1000,
// coil and input n are on where n is odd, and there are 200 of each.
type peer struct {
	*testing.T
	c *modbus.Client
}

func (p peer) do(req modbus.PDU, err error) modbus.PDU {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
	a, err := p.c.Do(p.Context(), 1, req, 10*time.Second)
	if err != nil {
		p.Errorf("% X: %v", []byte(req), err)
	}
	return a.PDU
}

func (p peer) wantRegisters(req modbus.PDU, want ...uint16) {
	p.Helper()
	if got, err := modbus.Registers(p.do(req, nil)); err != nil || !slices.Equal(got, want) {
		p.Errorf("% X: %v, %v, want %v", []byte(req), got, err, want)
	}
}

func (p peer) wantBits(req modbus.PDU, want ...bool) {
	p.Helper()
	if got, err := modbus.Bits(p.do(req, nil), len(want)); err != nil || !slices.Equal(got, want) {
		p.Errorf("% X: %v, %v, want %v", []byte(req), got, err, want)
	}
}

func (p peer) wantException(req modbus.PDU, want modbus.Exception) {
	p.Helper()
	if a, err := p.c.Do(p.Context(), 1, req, 10*time.Second); !errors.Is(err, want) {
		p.Errorf("% X: % X, %v, want %v", []byte(req), []byte(a.PDU), err, want)
	}
}

// exercise uses functions 1 to 6, 15 to 17, 22 and 23.
func (p peer) exercise() {
	const holding, input = modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters
	whole, err := modbus.Registers(p.do(read(p.T, holding, 10, 125), nil))
	if err != nil || len(whole) != 125 || whole[0] != 1010 || whole[124] != 1134 {
		p.Errorf("holding registers 10 to 134: %v, %v", whole, err)
	}
	p.wantRegisters(read(p.T, input, 199, 1), 1199)
	p.wantBits(read(p.T, modbus.FuncReadCoils, 0, 9), false, true, false, true, false, true, false, true, false)
	p.wantBits(read(p.T, modbus.FuncReadDiscreteInputs, 3, 1), true)

	p.do(modbus.WriteRegister(5, 0xBEEF), nil)
	p.do(modbus.WriteRegisters(6, []uint16{1, 2, 3}))
	p.wantRegisters(read(p.T, holding, 4, 6), 1004, 0xBEEF, 1, 2, 3, 1009)
	p.do(modbus.MaskRegister(6, 0xFF00, 0x0042), nil)
	both := p.do(modbus.ReadWriteRegisters(6, 2, 7, []uint16{77}))
	if got, err := modbus.Registers(both); err != nil || !slices.Equal(got, []uint16{0x42, 77}) {
		p.Errorf("function 23: %v, %v", got, err)
	}
	p.do(modbus.WriteCoil(0, true), nil)
	p.do(modbus.WriteCoils(1, []bool{false, true, true}))
	p.wantBits(read(p.T, modbus.FuncReadCoils, 0, 5), true, false, true, true, false)
	if id, err := modbus.ServerID(p.do(modbus.ReportServerID(), nil)); err != nil || len(id) < 2 {
		p.Errorf("server id %q, %v", id, err)
	}
	p.wantException(read(p.T, modbus.FuncReadCoils, 199, 2), modbus.IllegalDataAddress)
}

// exerciseMore uses functions 7, 8, 11, 12, 24 and 43.
func (p peer) exerciseMore() {
	if _, err := modbus.ExceptionStatus(p.do(modbus.ReadExceptionStatus(), nil)); err != nil {
		p.Error(err)
	}
	p.do(modbus.Loopback([]byte{0x12, 0x34}))
	if sub, _, err := modbus.DiagnosticValue(p.do(modbus.Diagnose(modbus.DiagBusMessages, 0), nil)); err != nil || sub != modbus.DiagBusMessages {
		p.Errorf("bus messages: %v, %v", sub, err)
	}
	if _, _, err := modbus.EventCounter(p.do(modbus.GetEventCounter(), nil)); err != nil {
		p.Error(err)
	}
	if _, err := modbus.ParseEventLog(p.do(modbus.GetEventLog(), nil)); err != nil {
		p.Error(err)
	}
	if got, err := modbus.Queue(p.do(modbus.ReadQueue(9), nil)); err != nil || len(got) > 0 {
		p.Errorf("queue: %v, %v", got, err)
	}
	objects, err := modbus.Identify(func(req modbus.PDU) (modbus.PDU, error) { return p.do(req, nil), nil }, modbus.BasicIdentity)
	want := []modbus.Object{{ID: 0, Value: "peer"}, {ID: 1, Value: "PM"}, {ID: 2, Value: "3.0"}}
	if err != nil || !slices.Equal(objects, want) {
		p.Errorf("identity: %v, %v, want %v", objects, err, want)
	}
}

// ownUnit is a unit as the peers keep it, and more.
func ownUnit() *modbus.Bank {
	u := &modbus.Bank{}
	for n := range uint16(200) {
		u.Set(modbus.HoldingRegisters, n, n+1000)
		u.Set(modbus.InputRegisters, n, n+1000)
		u.Set(modbus.Coils, n, n%2)
		u.Set(modbus.DiscreteInputs, n, n%2)
	}
	u.Diagnostics.SetStatus(0x5A)
	u.Files.Set(4, 0, 7, 8, 9)
	u.Queues.Set(9, 440, 4740, 3, 4, 5, 6) // pymodbus leaves the last four out
	u.Identity.SetServerID([]byte("skyhaul"), true)
	u.Identity.SetObjects(modbus.Object{ID: 0, Value: "Acme"}, modbus.Object{ID: 1, Value: "X1"}, modbus.Object{ID: 2, Value: "1.0"})
	return u
}

// serveOn lets units answer on a serial port until the test ends.
func serveOn(t *testing.T, device string, f modbus.Framing, h modbus.Handler) {
	t.Helper()
	port, timing := openPort(t, device)
	ctx, stop := context.WithCancel(t.Context())
	var server sync.WaitGroup
	server.Go(func() {
		if err := modbus.Serve(ctx, port, f, timing, h); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		server.Wait()
	})
}

// serveTCP lets units answer one client after the other on a TCP port until the
// test ends.
func serveTCP(t *testing.T, h modbus.Handler) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := modbus.Serve(ctx, c, modbus.TCP, modbus.LineTiming{}, h); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	})
	t.Cleanup(func() {
		stop()
		l.Close()
		server.Wait()
	})
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// wantOutput runs a program that uses our server and compares what it prints.
func wantOutput(t *testing.T, want, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); err != nil || diff != "" {
		t.Errorf("%v\n%s%s", err, diff, &stderr)
	}
}

func TestLibmodbusUsesOurServer(t *testing.T) {
	t.Parallel()
	client := compile(t, "libmodbus_client")
	want := `1 0 1 0 1 0
2 1 0
3 1010 1011 1012
4 1199
5 1
6 1
15 3
16 3
1 1 0 1 1 0
3 1004 48879 1 2 3 1009
22 1
23 66 77
17 115 107 121 104 97 117 108 255
exception 2
`
	near, far := serialLine(t)
	serveOn(t, far, modbus.RTU, modbus.Units{1: ownUnit()})
	wantOutput(t, want, client, "rtu", near)
	wantOutput(t, want, client, "tcp", serveTCP(t, modbus.Units{1: ownUnit()}))
}

func TestPymodbusUsesOurServer(t *testing.T) {
	t.Parallel()
	pymodbus(t)
	want := `1 [0, 1, 0, 1, 0, 1, 0, 1]
2 [1, 0, 1, 0, 1, 0, 1, 0]
3 [1010, 1011, 1012]
3 132750
4 [1199]
5 True
6 48879
15 3
16 3
1 [1, 0, 1, 1, 0, 1, 0, 1]
3 [1004, 48879, 1, 2, 3, 1009]
22 65280 66
23 [66, 77]
exception 2
7 90
8 (4660,)
8 (17,)
11 16
12 16 19 37
17 b'skyhaul\xff'
21 [b'\x124Vx']
20 [b'\x00\x07\x124Vx']
24 [440, 4740]
43 {0: b'Acme', 1: b'X1', 2: b'1.0'}
`
	rtu, rtuFar := serialLine(t)
	ascii, asciiFar := serialLine(t)
	serveOn(t, rtuFar, modbus.RTU, modbus.Units{1: ownUnit()})
	serveOn(t, asciiFar, modbus.ASCII, modbus.Units{1: ownUnit()})
	port := serveTCP(t, modbus.Units{1: ownUnit()})
	var clients sync.WaitGroup
	defer clients.Wait()
	for kind, where := range map[string]string{"rtu": rtu, "ascii": ascii, "tcp": port} {
		clients.Go(func() { wantOutput(t, want, python, "testdata/pymodbus_client.py", kind, where) })
	}
}

// polled is what mbpoll, which is built on libmodbus, prints for an item.
var polled = regexp.MustCompile(`(?m)^\[(\d+)\]:\s+(\S+)`)

// mbpoll runs it once and returns what it read.
func mbpoll(t *testing.T, args ...string) (values []string, ok bool) {
	t.Helper()
	out, err := exec.Command("mbpoll", append([]string{"-0", "-1", "-q", "-o", "10"}, args...)...).CombinedOutput()
	for _, m := range polled.FindAllStringSubmatch(string(out), -1) {
		values = append(values, m[2])
	}
	if err != nil {
		t.Logf("mbpoll %v: %v\n%s", args, err, out)
	}
	return values, err == nil
}

// pollAll lets mbpoll use every function of a server.
func pollAll(t *testing.T, connection ...string) {
	device := connection[len(connection)-1]
	with := func(args ...string) []string {
		return slices.Concat(connection[:len(connection)-1], args, []string{device})
	}
	want := func(what string, values []string, args ...string) {
		t.Helper()
		got, ok := mbpoll(t, with(args...)...)
		if !ok || !slices.Equal(got, values) {
			t.Errorf("%s: %v, want %v", what, got, values)
		}
	}
	write := func(what, first string, values []string, args ...string) {
		t.Helper()
		if _, ok := mbpoll(t, append(with(append(args, "-r", first)...), values...)...); !ok {
			t.Errorf("%s failed", what)
		}
	}
	want("holding registers", []string{"1", "2", "3"}, "-a", "17", "-t", "4", "-r", "10", "-c", "3")
	want("another unit", []string{"9"}, "-a", "18", "-t", "4", "-r", "10", "-c", "1")
	want("input register 65535", []string{"43981"}, "-a", "17", "-t", "3", "-r", "65535", "-c", "1")
	want("coils", []string{"1", "0"}, "-a", "17", "-t", "0", "-r", "5", "-c", "2")
	want("discrete input", []string{"1"}, "-a", "17", "-t", "1", "-r", "0", "-c", "1")
	write("function 6", "11", []string{"77"}, "-a", "17", "-t", "4")
	want("what it wrote", []string{"1", "77", "3"}, "-a", "17", "-t", "4", "-r", "10", "-c", "3")
	write("function 16", "10", []string{"5", "6", "7"}, "-a", "17", "-t", "4")
	want("what it wrote", []string{"5", "6", "7"}, "-a", "17", "-t", "4", "-r", "10", "-c", "3")
	write("function 5", "6", []string{"1"}, "-a", "17", "-t", "0")
	want("what it wrote", []string{"1", "1"}, "-a", "17", "-t", "0", "-r", "5", "-c", "2")
	write("function 15", "5", []string{"0", "1"}, "-a", "17", "-t", "0")
	want("what it wrote", []string{"0", "1"}, "-a", "17", "-t", "0", "-r", "5", "-c", "2")
	if got, ok := mbpoll(t, with("-a", "17", "-t", "4", "-r", "5000", "-c", "1")...); ok {
		t.Errorf("a missing register holds %v", got)
	}
}

func TestMbpollUsesOurServer(t *testing.T) {
	t.Parallel()
	program(t, "mbpoll")
	near, far := serialLine(t)
	units, _ := station()
	serveOn(t, far, modbus.RTU, units)
	pollAll(t, "-m", "rtu", "-b", "19200", "-P", "none", near)
	units, _ = station()
	pollAll(t, "-m", "tcp", "-p", serveTCP(t, units), "127.0.0.1")
}
