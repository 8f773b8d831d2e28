package serial

import (
	"strings"
	"testing"
	"time"
)

func TestBadConfigIsNamed(t *testing.T) {
	tests := []struct {
		config Config
		want   string
	}{
		{Config{Baud: 9600}, "no device"},
		{Config{Device: "x"}, "0 baud"},
		{Config{Device: "x", Baud: 49}, "49 baud"},
		{Config{Device: "x", Baud: 4_000_001}, "4000001 baud"},
		{Config{Device: "x", Baud: 9600, DataBits: 9}, "9 data bits"},
		{Config{Device: "x", Baud: 9600, DataBits: 4}, "4 data bits"},
		{Config{Device: "x", Baud: 9600, Parity: 'X'}, "parity 'X'"},
		{Config{Device: "x", Baud: 9600, StopBits: 3}, "3 stop bits"},
		{Config{Device: "x", Baud: 9600, RS485: &RS485{DelayAfter: 1500 * time.Microsecond}}, "delays 0s and 1.5ms"},
		{Config{Device: "x", Baud: 9600, RS485: &RS485{DelayBefore: -time.Millisecond}}, "delays -1ms"},
		{Config{Device: "x", Baud: 9600, RS485: &RS485{DelayBefore: 101 * time.Millisecond}}, "delays 101ms"},
		{Config{Device: "no/such/port", Baud: 9600}, "no such port"},
	}
	for _, tt := range tests {
		if _, err := Open(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open(%+v) = %v, want %q", tt.config, err, tt.want)
		}
	}
}

func TestCharacterHasStartDataParityAndStopBits(t *testing.T) {
	tests := []struct {
		config Config
		want   int
	}{
		{Config{}, 10},
		{Config{Parity: EvenParity}, 11},
		{Config{StopBits: 2}, 11},
		{Config{DataBits: 7, Parity: OddParity}, 10},
		{Config{Parity: NoParity, DataBits: 8, StopBits: 1}, 10},
	}
	for _, tt := range tests {
		if got := tt.config.CharBits(); got != tt.want {
			t.Errorf("%+v has %d bits, want %d", tt.config, got, tt.want)
		}
	}
	if got, want := (Config{Baud: 9600}).Bit(), 104166*time.Nanosecond; got != want {
		t.Errorf("bit at 9600 baud lasts %v, want %v", got, want)
	}
}
