package textline_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/edge/textline"
	"skyhaul/modbus"
	"skyhaul/modbus/bus"
)

// analyser is asked with its address and answers with two numbers.
func analyser(address string) *textline.Instrument {
	return &textline.Instrument{
		Request: []byte("#" + address + "\r\n"),
		Fields:  []textline.Field{{Name: "h2s"}, {Name: "co2"}},
		Match:   regexp.MustCompile(`^(?P<h2s>\S+) (?P<co2>\S+)$`),
	}
}

// station sends its wind speed on its own.
func station() *textline.Instrument {
	return &textline.Instrument{Fields: []textline.Field{{Name: "speed"}}, Match: regexp.MustCompile(`^W(?P<speed>\S+)$`)}
}

// plug runs a line of bus on such instruments; behind the port stands serve.
func plug(t *testing.T, ins map[modbus.UnitID]*textline.Instrument, serve func(port net.Conn)) *bus.Line {
	t.Helper()
	return plugLogged(t, io.Discard, ins, serve)
}

func plugLogged(t *testing.T, log io.Writer, ins map[modbus.UnitID]*textline.Instrument, serve func(port net.Conn)) *bus.Line {
	t.Helper()
	dial := textline.Dial(textline.Options{
		Instruments: ins, Timeout: time.Second, Log: slog.New(slog.NewTextHandler(log, nil)),
		Dial: func(context.Context) (modbus.Conn, error) {
			near, far := net.Pipe()
			go serve(far)
			return near, nil
		},
	})
	l := bus.New(bus.Options{Dial: dial, Framing: modbus.TCP, Timeout: 3 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		time.Sleep(time.Minute) // until serve has noticed
	})
	return l
}

// values reads n fields of a unit.
func values(ctx context.Context, l *bus.Line, unit modbus.UnitID, n int) (vs []float64, err error) {
	req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 0, textline.Registers*n)
	if err != nil {
		return nil, err
	}
	a, err := l.Do(ctx, bus.Poll, unit, req)
	if err != nil {
		return nil, err
	}
	for b := a.PDU[2:]; len(b) > 0; b = b[8:] {
		vs = append(vs, math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	return vs, nil
}

func TestInstrumentsAreAskedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := plug(t, map[modbus.UnitID]*textline.Instrument{1: analyser("01"), 2: analyser("02")}, func(port net.Conn) {
			for r := bufio.NewScanner(port); r.Scan(); {
				fmt.Fprintf(port, "%s\r\n", r.Text()) // a two-wire adapter hears itself
				switch r.Text() {
				case "#01":
					fmt.Fprint(port, "1.5 2.5\r\n")
				case "#02":
					fmt.Fprint(port, "OVER 7\r\n")
				}
			}
		})
		v, err := values(t.Context(), l, 1, 2)
		if err != nil || v[0] != 1.5 || v[1] != 2.5 {
			t.Errorf("first: %v %v", v, err)
		}
		v, err = values(t.Context(), l, 2, 2)
		if err != nil || !math.IsNaN(v[0]) || v[1] != 7 {
			t.Errorf("second: %v %v", v, err)
		}
		_, err = values(t.Context(), l, 1, 3)
		if !errors.Is(err, modbus.IllegalDataAddress) {
			t.Errorf("a field too many: %v", err)
		}
		_, err = l.Do(t.Context(), bus.Operator, 1, modbus.WriteRegister(0, 1))
		if !errors.Is(err, modbus.IllegalFunction) {
			t.Errorf("a write: %v", err)
		}
	})
}

// An answer that comes after the next instrument was asked would be taken for
// its own: the lines look alike.
func TestLateLineIsNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := plug(t, map[modbus.UnitID]*textline.Instrument{1: analyser("01"), 2: analyser("02")}, func(port net.Conn) {
			for r := bufio.NewScanner(port); r.Scan(); {
				if r.Text() == "#01" {
					time.AfterFunc(1900*time.Millisecond, func() { fmt.Fprint(port, "1 1\r\n") })
				} else {
					fmt.Fprint(port, "2 2\r\n")
				}
			}
		})
		for range 5 {
			if _, err := values(t.Context(), l, 1, 2); err == nil {
				t.Fatal("the late line was in time: the test shows nothing")
			}
			v, err := values(t.Context(), l, 2, 2)
			if err == nil && v[0] != 2 {
				t.Fatalf("unit 2 says %v: that is a late line of unit 1", v)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

func TestStreamIsReadWhileItIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := plug(t, map[modbus.UnitID]*textline.Instrument{9: station()}, func(port net.Conn) {
			fmt.Fprint(port, "some banner\n")
			for i := range 1000 {
				if _, err := fmt.Fprintf(port, "W%d\n", i); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
		time.Sleep(50*time.Second + 50*time.Millisecond) // far more lines than are held
		v, err := values(t.Context(), l, 9, 1)
		if err != nil || v[0] < 499 || v[0] > 502 {
			t.Errorf("after 50 s: %v %v", v, err)
		}
		time.Sleep(time.Minute) // it has ended, 10 s ago
		if v, err = values(t.Context(), l, 9, 1); err == nil {
			t.Errorf("after the last line: %v", v)
		}
	})
}

// A port is opened in the middle of a line.
func TestRestOfALineIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		level := &textline.Instrument{Fields: []textline.Field{{Name: "v"}}, Match: regexp.MustCompile(`^(?P<v>[\d.]+)$`)}
		l := plug(t, map[modbus.UnitID]*textline.Instrument{9: level}, func(port net.Conn) {
			for _, piece := range []string{"3.45\r\n", "12", "3.46\r\n"} { // of 123.45 and 123.46
				fmt.Fprint(port, piece)
				time.Sleep(400 * time.Millisecond)
			}
		})
		v, err := values(t.Context(), l, 9, 1)
		if err != nil || v[0] != 123.46 {
			t.Errorf("%v %v, want 123.46", v, err)
		}
	})
}

// An instrument sends lines of several kinds, as those of NMEA 0183 do.
func TestOtherLinesAreNobodysConcern(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var unwanted atomic.Bool
		l := plugLogged(t, &log, map[modbus.UnitID]*textline.Instrument{3: station()}, func(port net.Conn) {
			for {
				line := "$WIXDR,C,20\n"
				if !unwanted.Load() {
					line += "W5.0\n"
				}
				if _, err := io.WriteString(port, line); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		read := func(times int) {
			for range times {
				_, _ = values(t.Context(), l, 3, 1)
				time.Sleep(time.Second)
			}
		}
		read(100)
		if log.Len() > 0 {
			t.Errorf("all is well, and told is: %s", log.String())
		}
		unwanted.Store(true)
		read(10)
		if n := strings.Count(log.String(), "not understood"); n != 1 {
			t.Errorf("only others come, which is told %d times: %s", n, log.String())
		}
	})
}

func TestLostPortIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		l := plug(t, map[modbus.UnitID]*textline.Instrument{1: analyser("01")}, func(port net.Conn) {
			opened++
			r := bufio.NewReader(port)
			for range 2 {
				if _, err := r.ReadString('\n'); err == nil {
					io.WriteString(port, "1 2\r\n")
				}
			}
			port.Close()
		})
		good := 0
		for range 20 {
			if _, err := values(t.Context(), l, 1, 2); err == nil {
				good++
			}
			time.Sleep(time.Second)
		}
		if opened < 5 || good < 10 {
			t.Errorf("opened %d times, %d good readings of 20", opened, good)
		}
	})
}
