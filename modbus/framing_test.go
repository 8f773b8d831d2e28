package modbus_test

import (
	"testing"
	"time"

	"skyhaul/modbus"
)

func TestFramesAre35CharactersApart(t *testing.T) {
	tests := []struct {
		baud, charBits int
		want           time.Duration
	}{
		{1200, 11, 32083 * time.Microsecond},
		{9600, 10, 3645 * time.Microsecond},
		{9600, 11, 4010 * time.Microsecond},
		{19200, 11, 2005 * time.Microsecond}, // the last with 3.5 characters
		{19201, 11, 1750 * time.Microsecond},
		{38400, 11, 1750 * time.Microsecond},
		{115200, 10, 1750 * time.Microsecond},
	}
	for _, tt := range tests {
		line := modbus.LineTiming{Bit: time.Second / time.Duration(tt.baud), CharBits: tt.charBits}
		if got := line.T35(); got.Truncate(time.Microsecond) != tt.want {
			t.Errorf("%d baud: %v, want %v", tt.baud, got, tt.want)
		}
	}
	if got := (modbus.LineTiming{}).T35(); got != 0 {
		t.Errorf("no line: %v", got)
	}
}

func TestWireTimeCountsCharacters(t *testing.T) {
	line := modbus.LineTiming{Bit: 100 * time.Microsecond, CharBits: 10}
	if got, want := line.Wire(8), 8*time.Millisecond; got != want {
		t.Errorf("8 bytes take %v, want %v", got, want)
	}
}

func TestFramingsAreNamed(t *testing.T) {
	want := []string{"rtu", "tcp", "rtu over tcp", "ascii", "ascii over tcp", "framing(5)"}
	for f, name := range want {
		if got := modbus.Framing(f).String(); got != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
}
