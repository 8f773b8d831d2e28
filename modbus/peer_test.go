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

func TestPymodbusAnswersOurClient(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has pymodbus
	need(t, exec.Command(python, "-c", "import pymodbus, serial, serial_asyncio").Run())
	near, far := serialLine(t)
	run(t, python, "testdata/pymodbus_server.py", far)
	port, timing := openPort(t, near)
	c := modbus.NewClient(port, modbus.RTU, timing)

	// The server takes a second to come up.
	registers := read(t, modbus.FuncReadHoldingRegisters, 10, 125)
	a, err := c.Do(t.Context(), 2, registers, 200*time.Millisecond)
	for began := time.Now(); err != nil && time.Since(began) < 20*time.Second; {
		a, err = c.Do(t.Context(), 2, registers, 200*time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	values, err := modbus.Registers(a.PDU)
	if err != nil || len(values) != 125 || values[0] != 1010 || values[124] != 1134 {
		t.Errorf("holding registers 10 to 134: %v, %v", values, err)
	}

	ask := func(unit modbus.UnitID, req modbus.PDU) modbus.PDU {
		t.Helper()
		a, err := c.Do(t.Context(), unit, req, time.Second)
		if err != nil {
			t.Errorf("% X: %v", []byte(req), err)
		}
		return a.PDU
	}
	wantRegisters := func(fc modbus.FunctionCode, addr uint16, want ...uint16) {
		t.Helper()
		got, err := modbus.Registers(ask(1, read(t, fc, addr, len(want))))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("function %d at %d: %v, %v, want %v", fc, addr, got, err, want)
		}
	}
	wantBits := func(fc modbus.FunctionCode, addr uint16, want ...bool) {
		t.Helper()
		got, err := modbus.Bits(ask(1, read(t, fc, addr, len(want))), len(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("function %d at %d: %v, %v, want %v", fc, addr, got, err, want)
		}
	}
	wantRegisters(modbus.FuncReadInputRegisters, 199, 1199)
	wantBits(modbus.FuncReadCoils, 0, false, true, false, true, false, true, false, true, false)
	wantBits(modbus.FuncReadDiscreteInputs, 3, true)

	ask(1, modbus.WriteRegister(5, 0xBEEF))
	several, err := modbus.WriteRegisters(6, []uint16{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	ask(1, several)
	wantRegisters(modbus.FuncReadHoldingRegisters, 4, 1004, 0xBEEF, 1, 2, 3, 1009)
	ask(1, modbus.WriteCoil(0, true))
	coils, err := modbus.WriteCoils(1, []bool{false, true, true})
	if err != nil {
		t.Fatal(err)
	}
	ask(1, coils)
	wantBits(modbus.FuncReadCoils, 0, true, false, true, true, false)

	if _, err := c.Do(t.Context(), 1, read(t, modbus.FuncReadCoils, 199, 2), time.Second); !errors.Is(err, modbus.IllegalDataAddress) {
		t.Errorf("past the end: %v", err)
	}
	if _, err := c.Do(t.Context(), 9, read(t, modbus.FuncReadCoils, 0, 1), 100*time.Millisecond); !errors.Is(err, modbus.ErrTimeout) {
		t.Errorf("absent unit: %v", err)
	}
	wantRegisters(modbus.FuncReadHoldingRegisters, 0, 1000)
}

// polled is what mbpoll, which is built on libmodbus, prints for an item.
var polled = regexp.MustCompile(`(?m)^\[(\d+)\]:\s+(\S+)`)

// mbpoll runs it once and returns what it read.
func mbpoll(t *testing.T, args ...string) (values []string, ok bool) {
	t.Helper()
	out, err := exec.Command("mbpoll", append([]string{"-0", "-1", "-q"}, args...)...).CombinedOutput()
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

func TestMbpollReadsAndWritesOurServerOnALine(t *testing.T) {
	program(t, "mbpoll")
	near, far := serialLine(t)
	port, timing := openPort(t, far)
	units, _ := station()
	ctx, stop := context.WithCancel(t.Context())
	var server sync.WaitGroup
	server.Go(func() {
		if err := modbus.Serve(ctx, port, modbus.RTU, timing, units); err != nil {
			t.Error(err)
		}
	})
	defer server.Wait()
	defer stop()
	pollAll(t, "-m", "rtu", "-b", "19200", "-P", "none", near)
}

func TestMbpollReadsAndWritesOurServerOnTCP(t *testing.T) {
	program(t, "mbpoll")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	units, _ := station()
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := modbus.Serve(t.Context(), c, modbus.TCP, modbus.LineTiming{}, units); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	})
	defer server.Wait()
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	pollAll(t, "-m", "tcp", "-p", port, "127.0.0.1")
}
