package modbus_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

const timeout = 300 * time.Millisecond

// log is what a unit heard, frame by frame.
type log struct {
	mu    sync.Mutex
	seen  []modbus.PDU
	times []time.Time
}

func (l *log) add(req []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, bytes.Clone(pduOf(req)))
	l.times = append(l.times, time.Now())
}

func (l *log) requests() []modbus.PDU {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

// attach lets a unit answer on the far end of a new line and returns a client
// on the near end and what the unit hears.
func attach(t *testing.T, f modbus.Framing, fault func(n int, req, resp []byte) []piece) (*modbus.Client, *log) {
	near, far := cable()
	l := &log{}
	u := &counting{fault: func(n int, req, resp []byte) []piece {
		l.add(req)
		return fault(n, req, resp)
	}}
	var unit sync.WaitGroup
	unit.Go(func() { u.run(far) })
	t.Cleanup(func() {
		near.Close()
		unit.Wait()
	})
	return modbus.NewClient(near, f, slow), l
}

// prompt is a faultless unit.
func prompt(_ int, _, resp []byte) []piece { return promptly(resp) }

func do(t *testing.T, c *modbus.Client, req modbus.PDU) (modbus.Answer, error) {
	t.Helper()
	return c.Do(t.Context(), 1, req, timeout)
}

func mustDo(t *testing.T, c *modbus.Client, req modbus.PDU) modbus.Answer {
	t.Helper()
	a, err := do(t, c, req)
	if err != nil {
		t.Fatalf("% X: %v", []byte(req), err)
	}
	return a
}

func mustFail(t *testing.T, c *modbus.Client, req modbus.PDU, want error) {
	t.Helper()
	if a, err := do(t, c, req); !errors.Is(err, want) {
		t.Fatalf("% X: % X, %v, want %v", []byte(req), []byte(a.PDU), err, want)
	}
}

func TestExceptionIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(_ int, req, _ []byte) []piece {
			return promptly(seal([]byte{1, req[1] | 0x80, 2}))
		})
		_, err := do(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
		if e, ok := errors.AsType[modbus.Exception](err); !ok || e != modbus.IllegalDataAddress {
			t.Errorf("got %v", err)
		}
		if got, want := err.Error(), "unit 1 function 3: exception 02: illegal data address"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := c.Counters(); n.OK != 1 || n.Timeouts+n.Damaged != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestExceptionWithoutCodeIsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(_ int, req, _ []byte) []piece {
			return promptly(seal([]byte{1, req[1] | 0x80, 0}))
		})
		mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrDamaged)
	})
}

func TestBroadcastHoldsTheLineUntilUnitsHaveActed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(_ int, req, resp []byte) []piece {
			if req[0] == 0 {
				return nil
			}
			return promptly(resp)
		})
		mustDo(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
		began := time.Now()
		a, err := c.Do(t.Context(), modbus.Broadcast, modbus.WriteRegister(7, 42), 200*time.Millisecond)
		if err != nil || a.PDU != nil {
			t.Errorf("broadcast: % X, %v", []byte(a.PDU), err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("broadcast took %v", took)
		}
		mustDo(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
		if gap := heard.times[2].Sub(heard.times[1]); gap < slow.Wire(8)+200*time.Millisecond {
			t.Errorf("next request after %v", gap)
		}
		if _, err := c.Do(t.Context(), modbus.Broadcast, read(t, modbus.FuncReadCoils, 0, 1), timeout); err == nil {
			t.Error("a broadcast read went through")
		}
	})
}

func TestRequestWaits35CharactersAfterTheLastByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Time
		c, _ := attach(t, modbus.RTU, func(n int, _, resp []byte) []piece {
			if gap := time.Since(ended); n > 1 && (gap < slow.T35() || gap > slow.T35()+time.Millisecond) {
				t.Errorf("request %d came after %v, want %v", n, gap, slow.T35())
			}
			ended = time.Now().Add(5 * time.Millisecond)
			return promptly(resp)
		})
		for range 5 {
			mustDo(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
		}
	})
}

func TestAnswerCarriesItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []modbus.Framing{modbus.RTU, modbus.RTUOverTCP} {
			c, heard := attach(t, f, func(_ int, _, resp []byte) []piece {
				return []piece{{time.Millisecond, []byte{0xFF}}, {6 * time.Millisecond, resp[:3]}, {20 * time.Millisecond, resp[3:]}}
			})
			a := mustDo(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
			if !a.Sent.Equal(heard.times[0]) || a.FirstByte != 7*time.Millisecond || a.Total != 27*time.Millisecond {
				t.Errorf("sent %v (heard %v), first byte after %v, last after %v", a.Sent, heard.times[0], a.FirstByte, a.Total)
			}
		}
	})
}

func TestTimeoutCountsFromTheRequestsLastByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(int, []byte, []byte) []piece { return nil })
		mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrTimeout)
		began := time.Now()
		mustFail(t, c, read(t, modbus.FuncReadInputRegisters, 100, 10), modbus.ErrTimeout)
		if took, want := time.Since(began), timeout+slow.Wire(8); took < want || took > want+5*time.Millisecond {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}

func TestAnswerThatBeginsAtTheLastMomentIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(_ int, _, resp []byte) []piece {
			return []piece{{timeout + slow.Wire(8) - time.Millisecond, resp[:1]}, {20 * time.Millisecond, resp[1:]}}
		})
		mustDo(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
	})
}

func TestDamageIsKnownBeforeTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(_ int, _, resp []byte) []piece {
			return promptly(resp[:len(resp)-2]) // ends like the unit id
		})
		began := time.Now()
		if _, err := c.Do(t.Context(), 1, read(t, modbus.FuncReadHoldingRegisters, 100, 10), time.Hour); !errors.Is(err, modbus.ErrDamaged) {
			t.Error(err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestBabblingLineHoldsNobodyForEver(t *testing.T) {
	for _, afterRequest := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := cable()
			var babbler sync.WaitGroup
			babbler.Go(func() {
				if afterRequest {
					far.Read(make([]byte, 8))
				}
				for {
					if _, err := far.Write([]byte{1, 3, 20}); err != nil {
						return
					}
					time.Sleep(3 * time.Millisecond)
				}
			})
			defer babbler.Wait()
			defer near.Close()
			c := modbus.NewClient(near, modbus.RTU, slow)
			began := time.Now()
			mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrDamaged)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestContextEndsAnExchangeAndItsAnswerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(n int, _, resp []byte) []piece {
			if n == 2 {
				return []piece{{200 * time.Millisecond, resp}}
			}
			return promptly(resp)
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
		mustDo(t, c, req)
		why := errors.New("the operator left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
		began := time.Now()
		if _, err := c.Do(ctx, 1, req, timeout); !errors.Is(err, why) {
			t.Errorf("got %v, want %v", err, why)
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		a := mustDo(t, c, req)
		if want := pduOf(countingAnswer(4, seal(append([]byte{1}, req...)))); !bytes.Equal(a.PDU, want) {
			t.Errorf("got % X, want % X", []byte(a.PDU), want)
		}
		if n := len(heard.requests()); n != 4 {
			t.Errorf("%d requests, want 4", n)
		}
	})
}

func TestLostConnectionStaysLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range everyFraming {
			near, far := cable()
			c := modbus.NewClient(near, f, slow)
			far.Close()
			req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
			mustFail(t, c, req, modbus.ErrConn)
			began := time.Now()
			mustFail(t, c, req, modbus.ErrConn)
			if took := time.Since(began); took != 0 {
				t.Errorf("%v: second refusal took %v", f, took)
			}
		}
	})
}

func TestPortThatTakesNoBytesIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // nobody reads it
		defer far.Close()
		mustFail(t, modbus.NewClient(near, modbus.RTU, slow), read(t, modbus.FuncReadCoils, 0, 1), modbus.ErrConn)
	})
}

func TestOnlyKnownRequestsAreSent(t *testing.T) {
	c := modbus.NewClient(nil, modbus.RTU, slow) // would panic if used
	for _, req := range []modbus.PDU{nil, {43, 14, 5, 0}, {43, 13, 0, 0}, {99}, {7, 0}, {3, 0, 0, 0, 126}, {0x83, 2}} {
		if _, err := c.Do(t.Context(), 1, req, timeout); err == nil {
			t.Errorf("% X was sent", []byte(req))
		}
	}
}

func TestCountersTellWhatHappened(t *testing.T) {
	tests := []struct {
		name  string
		fault func(n int, req, resp []byte) []piece
		want  modbus.Counters
	}{
		{"clean", prompt, modbus.Counters{Requests: 1, OK: 1}},
		{"noise", func(_ int, _, resp []byte) []piece {
			return promptly(append([]byte{9, 9}, resp...))
		}, modbus.Counters{Requests: 1, OK: 1, NoiseBytes: 2}},
		{"echo", func(_ int, req, resp []byte) []piece {
			return promptly(append(bytes.Clone(req), resp...))
		}, modbus.Counters{Requests: 1, OK: 1, EchoBytes: 8}},
		{"silence", func(int, []byte, []byte) []piece { return nil }, modbus.Counters{Requests: 1, Timeouts: 1}},
		{"CRC", func(_ int, _, resp []byte) []piece {
			resp[5] ^= 4
			return promptly(resp)
		}, modbus.Counters{Requests: 1, Damaged: 1, CRC: 1, NoiseBytes: 25}},
		{"foreign unit", func(_ int, _, resp []byte) []piece {
			return promptly(seal(append([]byte{2}, pduOf(resp)...)))
		}, modbus.Counters{Requests: 1, Timeouts: 1, ForeignUnit: 1}},
		{"foreign unit, then the right one", func(_ int, _, resp []byte) []piece {
			return promptly(append(seal(append([]byte{2}, pduOf(resp)...)), resp...))
		}, modbus.Counters{Requests: 1, OK: 1, ForeignUnit: 1}},
		{"wrong function", func(_ int, _, resp []byte) []piece {
			return promptly(seal(append([]byte{1, 4}, pduOf(resp)[1:]...)))
		}, modbus.Counters{Requests: 1, Damaged: 1, WrongShape: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := attach(t, modbus.RTU, tt.fault)
				do(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10))
				if diff := cmp.Diff(tt.want, c.Counters()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestHangUpIsToldWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := cable()
		far.Close()
		c := modbus.NewClient(near, modbus.RTU, slow)
		mustFail(t, c, read(t, modbus.FuncReadCoils, 0, 1), io.EOF)
	})
}
