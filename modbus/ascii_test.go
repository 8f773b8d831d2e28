package modbus_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
)

// spell frames unit id and PDU as ASCII.
func spell(b ...byte) []byte {
	var sum byte
	for _, c := range b {
		sum += c
	}
	return fmt.Appendf(nil, ":%X%02X\r\n", b, -sum)
}

func TestServerFindsASCIIRequests(t *testing.T) {
	ask := spell(17, 3, 0, 10, 0, 3)
	answer := []byte(":11030600010002000" + "3E0\r\n")
	damaged := bytes.Replace(ask, []byte("0A"), []byte("0B"), 1)
	tests := []struct {
		name string
		send []piece
		want []byte
	}{
		{"whole", []piece{{0, ask}}, answer},
		{"in pieces", []piece{{0, ask[:2]}, {900 * time.Millisecond, ask[2:6]}, {900 * time.Millisecond, ask[6:]}}, answer},
		{"in lower case", []piece{{0, bytes.ToLower(ask)}}, answer},
		{"after one that was given up", []piece{{0, ask[:7]}, {1100 * time.Millisecond, ask}}, answer},
		{"begun anew", []piece{{0, ask[:7]}, {0, ask}}, answer},
		{"behind noise", []piece{{0, append([]byte{0xFF, '\n', '0', 0}, ask...)}}, answer},
		{"behind a damaged one", []piece{{0, slices.Concat(damaged, ask)}}, answer},
		{"behind one of another unit and its answer", []piece{{0, slices.Concat(spell(99, 3, 0, 1, 0, 1), spell(99, 3, 2, 0, 1), ask)}}, answer},
		{"two at once", []piece{{0, slices.Concat(ask, spell(18, 3, 0, 10, 0, 1))}}, slices.Concat(answer, spell(18, 3, 2, 0, 9))},
		{"damaged", []piece{{0, damaged}}, nil},
		{"resumed too late", []piece{{0, ask[:7]}, {1100 * time.Millisecond, ask[7:]}}, nil},
		{"without CR", []piece{{0, append(bytes.Clone(ask[:len(ask)-2]), '\n')}}, nil},
		{"odd digits", []piece{{0, []byte(":1103000A00030\r\n")}}, nil},
		{"no PDU", []piece{{0, []byte(":11EF\r\n")}}, nil},
		{"for a reserved unit", []piece{{0, spell(248, 3, 0, 10, 0, 3)}}, nil},
		{"exception of another unit", []piece{{0, spell(17, 0x83, 2)}}, nil},
		{"unknown function", []piece{{0, spell(17, 99, 1)}}, spell(17, 0xE3, 1)},
		{"missing address", []piece{{0, spell(17, 3, 0, 10, 0, 4)}}, spell(17, 0x83, 2)},
		{"broadcast", []piece{{0, spell(0, 6, 0, 10, 0, 42)}, {time.Millisecond, spell(17, 3, 0, 10, 0, 1)}}, spell(17, 3, 2, 0, 42)},
	}
	for _, tt := range tests {
		for _, f := range []modbus.Framing{modbus.ASCII, modbus.ASCIIOverTCP} {
			t.Run(tt.name+"/"+f.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					units, _ := station()
					if got, _ := converse(t, f, units, tt.send...); !bytes.Equal(got, tt.want) {
						t.Errorf("got %q, want %q", got, tt.want)
					}
				})
			})
		}
	}
}

// The limit is that of Serial, section 2.5.2.1: 513 characters.
func TestLongestASCIIFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bank modbus.Bank
		bank.Set(modbus.HoldingRegisters, 0, make([]uint16, 125)...)
		got, _ := converse(t, modbus.ASCII, &bank, piece{0, spell(1, 3, 0, 0, 0, 125)})
		if len(got) != 1+2*(1+252+1)+2 {
			t.Errorf("%d characters", len(got))
		}
		long := make([]byte, 1+254)
		long[0], long[1] = 1, 3
		if got, _ := converse(t, modbus.ASCII, &bank, piece{0, spell(long...)}); got != nil {
			t.Errorf("a PDU of 254 bytes is answered with %q", got)
		}
	})
}

// asciiUnit returns a client of a unit that answers as f has it.
func asciiUnit(f modbus.Framing, answer fault) *modbus.Client {
	return modbus.NewClient(&bench{language: ascii, fault: answer}, f, slow)
}

func TestASCIIAnswerMayPauseForASecond(t *testing.T) {
	for _, f := range []modbus.Framing{modbus.ASCII, modbus.ASCIIOverTCP} {
		for pause, want := range map[time.Duration]error{990 * time.Millisecond: nil, 1010 * time.Millisecond: modbus.ErrDamaged} {
			synctest.Test(t, func(t *testing.T) {
				c := asciiUnit(f, func(_ *bench, _, answer []byte) []piece {
					return []piece{{time.Millisecond, answer[:1]}, {pause, answer[1:8]}, {pause, answer[8:]}}
				})
				if _, err := do(t, c, read(t, modbus.FuncReadHoldingRegisters, 100, 10)); !errors.Is(err, want) {
					t.Errorf("%v, pauses of %v: %v, want %v", f, pause, err, want)
				}
			})
		}
	}
}

// The end of a frame is marked: nothing is waited for behind it.
func TestDamagedASCIIIsKnownSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := asciiUnit(modbus.ASCII, wrongChecksum)
		began := time.Now()
		if _, err := c.Do(t.Context(), 1, read(t, modbus.FuncReadHoldingRegisters, 100, 10), time.Hour); !errors.Is(err, modbus.ErrDamaged) {
			t.Error(err)
		}
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if n := c.Counters(); n.CRC != 1 || n.Damaged != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestASCIIBroadcastHasNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		c := asciiUnit(modbus.ASCII, func(_ *bench, ask, answer []byte) []piece {
			heard = append(heard, string(ask))
			if bytes.HasPrefix(ask, []byte(":00")) {
				return nil
			}
			return promptly(answer)
		})
		if _, err := c.Do(t.Context(), modbus.Broadcast, modbus.WriteRegister(7, 42), timeout); err != nil {
			t.Error(err)
		}
		began := time.Now()
		mustDo(t, c, read(t, modbus.FuncReadCoils, 0, 1))
		if time.Since(began) < timeout {
			t.Error("the units had no time to act")
		}
		want := []string{":00060007002AC9\r\n", ":010100000001FD\r\n"}
		if !slices.Equal(heard, want) {
			t.Errorf("sent %q, want %q", heard, want)
		}
	})
}
