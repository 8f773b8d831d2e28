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

func TestAfterATimeoutAShorterReadComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(n int, _, resp []byte) []piece {
			if n == 2 {
				return nil
			}
			return promptly(resp)
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
		mustDo(t, c, req)
		mustFail(t, c, req, modbus.ErrTimeout)
		mustDo(t, c, req)
		mustDo(t, c, req)
		want := []modbus.PDU{req, req, read(t, modbus.FuncReadHoldingRegisters, 100, 1), req, req}
		if diff := cmp.Diff(want, heard.requests()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSeparatorNeverPassesTheLastAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(n int, _, resp []byte) []piece {
			if n == 1 {
				return nil
			}
			return promptly(resp)
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 65535, 1)
		mustFail(t, c, req, modbus.ErrTimeout)
		mustDo(t, c, req)
		if got, want := heard.requests()[1], read(t, modbus.FuncReadHoldingRegisters, 65534, 2); !bytes.Equal(got, want) {
			t.Errorf("separator % X, want % X", got, want)
		}
	})
}

// A unit may know no more than one request and be silent about all others.
func TestNoSeparatorLocksAUnitOut(t *testing.T) {
	one := read(t, modbus.FuncReadHoldingRegisters, 5, 1)
	tests := []struct {
		name  string
		knows []modbus.PDU
		soon  int // polls until it is heard again, of which there is one a minute
	}{
		{"the register behind", []modbus.PDU{read(t, modbus.FuncReadHoldingRegisters, 5, 2)}, 1},
		{"the other function", []modbus.PDU{read(t, modbus.FuncReadInputRegisters, 5, 1)}, 2},
		{"the register before", []modbus.PDU{read(t, modbus.FuncReadHoldingRegisters, 4, 2)}, 3},
		{"nothing else", nil, 21},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := attach(t, modbus.RTU, func(n int, req, resp []byte) []piece {
					known := func(p modbus.PDU) bool { return bytes.Equal(p, pduOf(req)) }
					if n == 1 || !known(one) && !slices.ContainsFunc(tt.knows, known) {
						return nil
					}
					return promptly(resp)
				})
				mustFail(t, c, one, modbus.ErrTimeout)
				for range tt.soon - 1 {
					time.Sleep(time.Minute)
					mustFail(t, c, one, modbus.ErrTimeout)
				}
				time.Sleep(time.Minute)
				mustDo(t, c, one)
			})
		})
	}
}

// Its late answers show that it is there, however rarely it is asked.
func TestUnitThatAnswersLateStaysOwing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []byte
		c, _ := attach(t, modbus.RTU, func(_ int, _, resp []byte) []piece {
			late := held
			held = resp
			return promptly(late)
		})
		for range 20 {
			mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrTimeout)
			time.Sleep(6 * time.Minute)
		}
	})
}

// A link that was down may deliver all that was sent into it.
func TestAnswersOfALongOutageAreLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queue []byte
		began := time.Now()
		outage := func(_ int, _, resp []byte) []piece {
			queue = append(queue, resp...)
			if time.Since(began) < 16*time.Minute {
				return nil
			}
			all := queue
			queue = nil
			return promptly(all)
		}
		requests := []modbus.PDU{read(t, modbus.FuncReadHoldingRegisters, 0, 1), read(t, modbus.FuncReadHoldingRegisters, 0, 2)}
		got, c, _ := poll(t, modbus.RTUOverTCP, &counting{fault: outage}, 4000, requests...)
		if got.wrong > 0 || got.ok < 100 {
			t.Errorf("%+v\n%+v", got, c)
		}
	})
}

func TestReconnectedClientKnowsWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []byte
		u := &counting{fault: func(_ int, _, resp []byte) []piece {
			late := held
			held = resp
			return promptly(late)
		}}
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
		c := modbus.NewClient(nil, modbus.RTUOverTCP, slow)
		for range 5 {
			near, far := cable()
			var unit sync.WaitGroup
			unit.Go(func() { u.run(far) })
			c.Reconnect(near)
			mustFail(t, c, req, modbus.ErrTimeout)
			near.Close()
			unit.Wait()
			mustFail(t, c, req, modbus.ErrConn)
		}
	})
}

// A unit that answers only with exceptions must neither be locked out nor asked
// twice for ever.
func TestUnitThatDeclinesIsHeardAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(n int, req, _ []byte) []piece {
			if n == 1 {
				return nil
			}
			return promptly(seal([]byte{1, req[1] | 0x80, 4}))
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
		mustFail(t, c, req, modbus.ErrTimeout)
		for range 4 {
			mustFail(t, c, req, modbus.ServerDeviceFailure)
		}
		want := []modbus.PDU{
			req,
			read(t, modbus.FuncReadHoldingRegisters, 100, 1), req, // its exception may be the first one's
			read(t, modbus.FuncReadInputRegisters, 100, 1), req, // this one's can't
			req,
			req,
		}
		if diff := cmp.Diff(want, heard.requests()); diff != "" {
			t.Error(diff)
		}
	})
}

// A C library answers an illegal value with its exception half a second late,
// which other clients take for the answer to the next request.
func TestLateExceptionIsNotForTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attach(t, modbus.RTU, func(n int, req, resp []byte) []piece {
			if n == 1 {
				return []piece{{500 * time.Millisecond, seal([]byte{1, req[1] | 0x80, 3})}}
			}
			return promptly(resp)
		})
		mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrTimeout)
		if a, err := do(t, c, read(t, modbus.FuncReadInputRegisters, 100, 10)); err != nil {
			t.Errorf("% X, %v", []byte(a.PDU), err)
		}
		if got := c.Counters().LateBytes; got != 5 {
			t.Errorf("%d late bytes, want 5", got)
		}
	})
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

// The answer to a write of one item is a copy of the request, as an echo is.
func TestEchoIsNoConfirmation(t *testing.T) {
	write := modbus.WriteRegister(7, 42)
	echo := func(req []byte) piece { return piece{0, bytes.Clone(req)} }
	tests := []struct {
		name  string
		fault func(n int, req, resp []byte) []piece
		want  error
	}{
		{"echo, unit obeys", func(_ int, req, resp []byte) []piece {
			return []piece{echo(req), {time.Millisecond, resp}}
		}, nil},
		{"echo, unit is gone", func(_ int, req, _ []byte) []piece {
			return []piece{echo(req)}
		}, modbus.ErrTimeout},
		{"echo, unit only reads", func(_ int, req, resp []byte) []piece {
			if req[1] > 4 {
				return []piece{echo(req)}
			}
			return []piece{echo(req), {time.Millisecond, resp}}
		}, modbus.ErrTimeout},
		{"first echo damaged, unit only reads", func(n int, req, resp []byte) []piece {
			heard := echo(req)
			if n == 1 {
				heard.bytes[6] ^= 1
			}
			if req[1] > 4 {
				return []piece{heard}
			}
			return []piece{heard, {time.Millisecond, resp}}
		}, modbus.ErrTimeout},
		{"no echo, unit obeys", prompt, nil},
		{"no echo, unit declines to read", func(_ int, req, resp []byte) []piece {
			if req[1] == 3 {
				return promptly(seal([]byte{1, 0x83, 1}))
			}
			return promptly(resp)
		}, nil},
		{"silence", func(int, []byte, []byte) []piece { return nil }, modbus.ErrTimeout},
		{"answers are always behind noise, unit obeys", func(_ int, _, resp []byte) []piece {
			return promptly(append([]byte{0xFF}, resp...))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, heard := attach(t, modbus.RTU, tt.fault)
				for range 3 {
					if _, err := do(t, c, write); !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
				}
				if first := heard.requests()[0]; first.Function() != modbus.FuncReadHoldingRegisters {
					t.Errorf("% X was sent before it was known whether the line echoes", first)
				}
			})
		})
	}
}

// In this request and this unit the first 7 bytes of the echo are a valid
// answer themselves.
func TestBeginOfAnEchoIsNoAnswer(t *testing.T) {
	req, unit := prefixAnswer(t)
	synctest.Test(t, func(t *testing.T) {
		near, far := cable()
		defer near.Close()
		c := modbus.NewClient(near, modbus.RTU, slow)
		var adapter sync.WaitGroup
		defer adapter.Wait()
		adapter.Go(func() {
			buf := make([]byte, 64)
			n, _ := far.Read(buf)
			far.Write(buf[:n-1])
			time.Sleep(10 * time.Millisecond)
			far.Write(buf[n-1 : n])
		})
		if a, err := c.Do(t.Context(), unit, req, timeout); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("% X, %v", []byte(a.PDU), err)
		}
	})
}

func prefixAnswer(t *testing.T) (modbus.PDU, modbus.UnitID) {
	for fc := modbus.FuncReadHoldingRegisters; fc <= modbus.FuncReadInputRegisters; fc++ {
		for unit := 1; unit <= 247; unit++ {
			for addr := 0x0200; addr < 0x0300; addr++ {
				req := read(t, fc, uint16(addr), 1)
				frame := seal(append([]byte{byte(unit)}, req...))
				if bytes.Equal(seal(frame[:5]), frame[:7]) {
					return req, modbus.UnitID(unit)
				}
			}
		}
	}
	t.Skip("there is none")
	return nil, 0
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

// Else the next request would collide with it.
func TestLateAnswerIsHeardOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Time
		c, heard := attach(t, modbus.RTU, func(n int, _, resp []byte) (p []piece) {
			if n > 1 {
				return promptly(resp)
			}
			p = append(p, piece{timeout + slow.Wire(8) + 5*time.Millisecond, nil})
			for _, b := range resp {
				p = append(p, piece{16 * time.Millisecond, []byte{b}})
			}
			ended = time.Now().Add(p[0].after + time.Duration(len(resp))*16*time.Millisecond)
			return p
		})
		mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10), modbus.ErrTimeout)
		time.Sleep(50 * time.Millisecond) // it has begun
		mustDo(t, c, read(t, modbus.FuncReadInputRegisters, 100, 10))
		if sent := heard.times[1]; sent.Before(ended) {
			t.Errorf("request sent %v before the end of a late answer", ended.Sub(sent))
		}
		if got := c.Counters().LateBytes; got != 25 {
			t.Errorf("%d late bytes, want 25", got)
		}
	})
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
		for _, f := range []modbus.Framing{modbus.RTU, modbus.TCP, modbus.RTUOverTCP} {
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
	for _, req := range []modbus.PDU{nil, {43, 14, 1, 0}, {3, 0, 0, 0, 126}, {0x83, 2}} {
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

func TestLateAnswerIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late []byte
		c, _ := attach(t, modbus.RTU, func(n int, _, resp []byte) []piece {
			if n == 1 {
				late = resp
				return nil
			}
			before := late
			late = nil
			return promptly(append(before, resp...))
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 10)
		mustFail(t, c, req, modbus.ErrTimeout)
		mustDo(t, c, req)
		want := modbus.Counters{Requests: 3, OK: 2, Timeouts: 1, Separators: 1, LateBytes: 25}
		if diff := cmp.Diff(want, c.Counters()); diff != "" {
			t.Error(diff)
		}
	})
}

// A unit at the far end of a stream of Modbus/TCP, driven by a function.
func attachTCP(t *testing.T, answer func(n int, frame []byte) []piece) *modbus.Client {
	near, far := net.Pipe()
	var unit sync.WaitGroup
	unit.Go(func() {
		buf := make([]byte, 300)
		for n := 1; ; n++ {
			k, err := far.Read(buf)
			if err != nil {
				return
			}
			for _, p := range answer(n, buf[:k]) {
				time.Sleep(p.after)
				far.Write(p.bytes)
			}
		}
	})
	t.Cleanup(func() {
		near.Close()
		unit.Wait()
	})
	return modbus.NewClient(near, modbus.TCP, modbus.LineTiming{})
}

// answerTCP answers a read of one register with value.
func answerTCP(frame []byte, value byte) []byte {
	return []byte{frame[0], frame[1], 0, 0, 0, 5, frame[6], frame[7], 2, 0, value}
}

func TestTransactionIDTellsLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []byte
		c := attachTCP(t, func(n int, frame []byte) []piece {
			late := held
			held = answerTCP(frame, byte(n))
			switch n {
			case 1:
				return nil
			case 2: // both in one segment
				return []piece{{0, append(late, held...)}}
			}
			return []piece{{0, held[:3]}, {100 * time.Millisecond, held[3:8]}, {100 * time.Millisecond, held[8:]}}
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 100, 1)
		mustFail(t, c, req, modbus.ErrTimeout)
		for n := byte(2); n <= 4; n++ {
			if a := mustDo(t, c, req); a.PDU[3] != n {
				t.Errorf("request %d got the answer to %d", n, a.PDU[3])
			}
		}
		want := modbus.Counters{Requests: 4, OK: 3, Timeouts: 1, LateBytes: 11}
		if diff := cmp.Diff(want, c.Counters()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWrongAnswerOnTCPIsRefused(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(resp []byte) []byte
		want  error
	}{
		{"transaction", func(b []byte) []byte { b[1]++; return b }, modbus.ErrTimeout},
		{"unit", func(b []byte) []byte { b[6]++; return b }, modbus.ErrDamaged},
		{"function", func(b []byte) []byte { b[7]++; return b }, modbus.ErrDamaged},
		{"count", func(b []byte) []byte { b[8]++; return b }, modbus.ErrDamaged},
		{"length", func(b []byte) []byte { b[5]++; return append(b, 0) }, modbus.ErrDamaged},
		{"exception of another function", func(b []byte) []byte { return append(b[:5], 3, b[6], 0x84, 2) }, modbus.ErrDamaged},
		{"exception", func(b []byte) []byte { return append(b[:5], 3, b[6], 0x83, 2) }, modbus.IllegalDataAddress},
		{"cut", func(b []byte) []byte { return b[:9] }, modbus.ErrTimeout},
		{"protocol", func(b []byte) []byte { b[3]++; return b }, modbus.ErrConn},
		{"no PDU", func(b []byte) []byte { b[5] = 1; return b }, modbus.ErrConn},
		{"too long", func(b []byte) []byte { b[5] = 255; return b }, modbus.ErrConn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := attachTCP(t, func(_ int, frame []byte) []piece {
					return []piece{{0, tt.spoil(answerTCP(frame, 1))}}
				})
				mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 1), tt.want)
			})
		})
	}
}

func TestStreamOutOfStepIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := attachTCP(t, func(n int, frame []byte) []piece {
			asked = n
			return []piece{{0, []byte("no Modbus")}}
		})
		for range 3 {
			mustFail(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 1), modbus.ErrConn)
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestUnit0IsNoBroadcastOnTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := attachTCP(t, func(_ int, frame []byte) []piece { return []piece{{0, answerTCP(frame, 7)}} })
		a, err := c.Do(t.Context(), 0, read(t, modbus.FuncReadHoldingRegisters, 100, 1), timeout)
		if err != nil || a.PDU[3] != 7 {
			t.Errorf("% X, %v", []byte(a.PDU), err)
		}
	})
}

func TestHangUpIsToldWithItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := cable()
		far.Close()
		c := modbus.NewClient(near, modbus.RTU, slow)
		mustFail(t, c, read(t, modbus.FuncReadCoils, 0, 1), io.EOF)
	})
}
