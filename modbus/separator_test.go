package modbus_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
)

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

// A read may clear what it reads, or hang the unit.
func TestSeparatorsSpareWhatMustNotBeRead(t *testing.T) {
	const holding, input = modbus.FuncReadHoldingRegisters, modbus.FuncReadInputRegisters
	tests := []struct {
		name        string
		fc          modbus.FunctionCode
		first, last uint16 // are spared, under fc or all functions if it is 0
		req         modbus.PDU
		want        []modbus.PDU // separators, all of which meet silence
	}{
		{"what is asked for", 0, 10, 11, read(t, holding, 10, 2), []modbus.PDU{
			read(t, holding, 12, 1), read(t, input, 12, 1), read(t, holding, 9, 1), read(t, input, 12, 1),
		}},
		{"what lies behind", 0, 21, 99, read(t, holding, 20, 1), []modbus.PDU{
			read(t, holding, 19, 2), read(t, input, 20, 1), read(t, holding, 19, 2), read(t, input, 20, 1),
		}},
		{"the first addresses", 0, 0, 40, read(t, holding, 0, 2), []modbus.PDU{
			read(t, holding, 41, 1), read(t, input, 41, 1), read(t, holding, 41, 1), read(t, input, 41, 1),
		}},
		{"the last addresses", 0, 65530, 65535, read(t, holding, 65535, 1), []modbus.PDU{
			read(t, holding, 65528, 2), read(t, input, 65529, 1), read(t, holding, 65528, 2), read(t, input, 65529, 1),
		}},
		{"a function", holding, 0, 65535, read(t, holding, 10, 2), []modbus.PDU{
			read(t, input, 10, 1), read(t, input, 10, 1),
		}},
		{"what is written", 0, 7, 7, modbus.WriteRegister(7, 1), []modbus.PDU{
			read(t, holding, 8, 1), read(t, input, 8, 1), read(t, holding, 8, 1),
		}},
		{"all", 0, 0, 65535, read(t, holding, 10, 2), []modbus.PDU{{7}, {7}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, heard := attach(t, modbus.RTU, func(int, []byte, []byte) []piece { return nil })
				c.Spare(1, func(fc modbus.FunctionCode, addr uint16, quantity int) bool {
					return (tt.fc == 0 || fc == tt.fc) && addr <= tt.last && int(addr)+quantity > int(tt.first)
				})
				for range len(tt.want) + 1 {
					mustFail(t, c, tt.req, modbus.ErrTimeout)
				}
				got := slices.DeleteFunc(heard.requests(), func(p modbus.PDU) bool { return bytes.Equal(p, tt.req) })
				if diff := cmp.Diff(tt.want, got[:len(tt.want)]); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Two plain registers would be as long as the one float that is asked for.
func TestSeparatorThatGoesElsewhereReadsItemsOfTheSameSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, heard := attach(t, modbus.RTU, func(int, []byte, []byte) []piece { return nil })
		c.Speak(1, modbus.Enron())
		c.Spare(1, func(_ modbus.FunctionCode, addr uint16, quantity int) bool {
			return addr < 8000 && int(addr)+quantity > 7001
		})
		req := read(t, modbus.FuncReadHoldingRegisters, 7001, 1)
		mustFail(t, c, req, modbus.ErrTimeout)
		mustFail(t, c, req, modbus.ErrTimeout)
		if got, want := heard.requests()[1], read(t, modbus.FuncReadHoldingRegisters, 5998, 2); !bytes.Equal(got, want) {
			t.Errorf("separator % X, want % X", []byte(got), []byte(want))
		}
	})
}

func TestUnitThatIsSparedIsHeardAgain(t *testing.T) {
	tests := []struct {
		name  string
		spare func(modbus.FunctionCode, uint16, int) bool
	}{
		{"what is asked for", func(_ modbus.FunctionCode, addr uint16, quantity int) bool {
			return addr < 102 && int(addr)+quantity > 100
		}},
		{"all", func(modbus.FunctionCode, uint16, int) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var late []byte
				c, _ := attach(t, modbus.RTU, func(n int, req, resp []byte) []piece {
					if n == 1 {
						late = resp
						return nil
					}
					before := late
					late = nil
					if req[1] == 7 {
						resp = seal([]byte{1, 7, 0})
					}
					return promptly(append(before, resp...))
				})
				c.Spare(1, tt.spare)
				req := read(t, modbus.FuncReadHoldingRegisters, 100, 2)
				mustFail(t, c, req, modbus.ErrTimeout)
				if a := mustDo(t, c, req); !bytes.Equal(a.PDU, modbus.PDU{3, 4, 0, 3, 0, 3}) {
					t.Errorf("took % X, want the third answer", []byte(a.PDU))
				}
			})
		})
	}
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
