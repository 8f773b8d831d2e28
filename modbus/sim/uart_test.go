package sim

import (
	"bytes"
	"testing"
	"time"

	"skyhaul/modbus/serial"
)

func settings(t testing.TB, s string) LineSettings {
	t.Helper()
	l, err := ParseLineSettings(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// heard returns what a receiver of settings to makes of bytes sent by from.
func heard(from, to LineSettings, b []byte) ([]byte, serial.LineErrors) {
	cs := from.chars(b)
	got, errs := to.receive(from.level(cs), cs[len(cs)-1].end+to.Timing().Wire(1))
	return bytesOf(got), errs
}

func TestSettingsAreWrittenAsEngineersDo(t *testing.T) {
	want := LineSettings{19200, 8, serial.EvenParity, 1}
	if got := settings(t, "19200-8E1"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (LineSettings{Baud: 9600}).String(); got != "9600-8N1" {
		t.Errorf("the defaults are %s, want 8N1", got)
	}
	for _, bad := range []string{"", "9600", "9600-8X1", "9600-9N1", "9600-8N3", "49-8N1", "-1-8N1", "9600-8N1 ", "9600-8N12", "4000001-8N1", "09600-8N1", "9600 8N1"} {
		if got, err := ParseLineSettings(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
}

func TestReceiverOfTheSameSettingsHearsEveryByte(t *testing.T) {
	for _, s := range []string{"1200-8N1", "9600-8E1", "19200-8O2", "57600-8M1", "115200-8S1", "4000000-8N2", "12345-8N1"} {
		got, errs := heard(settings(t, s), settings(t, s), everyByte())
		if !bytes.Equal(got, everyByte()) || errs != (serial.LineErrors{}) {
			t.Errorf("%s: % X, %+v", s, got, errs)
		}
	}
	got, _ := heard(settings(t, "9600-7E1"), settings(t, "9600-7E1"), everyByte())
	if !bytes.Equal(got[:128], everyByte()[:128]) || !bytes.Equal(got[128:], everyByte()[:128]) {
		t.Errorf("7 data bits: % X", got)
	}
}

// A receiver samples the last bit after 9.5 of its own: 5 % off are half a bit.
func TestReceiverForgivesTwoPercent(t *testing.T) {
	for _, baud := range []int{9400, 9800} {
		got, errs := heard(LineSettings{Baud: baud}.or(LineSettings{}), settings(t, "9600-8N1"), everyByte())
		if !bytes.Equal(got, everyByte()) || errs != (serial.LineErrors{}) {
			t.Errorf("%d baud: % X, %+v", baud, got, errs)
		}
	}
	if got, _ := heard(settings(t, "9000-8N1"), settings(t, "9600-8N1"), everyByte()); bytes.Equal(got, everyByte()) {
		t.Error("6 % too slow, and understood")
	}
}

func TestWrongSettingsGarbleAsAReceiverWould(t *testing.T) {
	tests := []struct {
		from, to string
		sent     []byte
		got      []byte
		errs     serial.LineErrors
	}{
		// The parity bit of an odd number of ones passes for a stop bit; of an even
		// number, 0, it is taken for the start bit of another character.
		{"9600-8E1", "9600-8N1", []byte{0x01}, []byte{0x01}, serial.LineErrors{}},
		{"9600-8E1", "9600-8N1", []byte{0x03}, []byte{0x03, 0xFF}, serial.LineErrors{Frame: 1}},
		{"9600-8N2", "9600-8E1", []byte{0x01, 0x03}, []byte{0x01, 0x00}, serial.LineErrors{Parity: 1}},
		{"9600-8O1", "9600-8E1", []byte{0x01, 0x02}, []byte{0, 0}, serial.LineErrors{Parity: 2}},
		{"9600-8O1", "9600-8M1", []byte{0x01, 0x03}, []byte{0, 0x03}, serial.LineErrors{Parity: 1}},
		// Each bit is heard twice: 00 11 00 11 00 11 00 11 00 11. The first stop bit
		// falls on the fifth pair of zeros.
		{"9600-8N1", "19200-8N1", []byte{0x55}, []byte{0x66, 0x33}, serial.LineErrors{Frame: 1}},
		// Each two bits are one.
		{"19200-8N1", "9600-8N1", []byte{0xFE, 0xFF}, []byte{0xFF}, serial.LineErrors{}},
		// Too short for a bit: nothing.
		{"115200-8N1", "1200-8N1", []byte{1, 3, 0, 0}, nil, serial.LineErrors{}},
		// A slow 0x00 is a break, whatever comes after.
		{"1200-8N1", "115200-8N1", []byte{0}, []byte{0}, serial.LineErrors{Break: 1}},
	}
	for _, tt := range tests {
		got, errs := heard(settings(t, tt.from), settings(t, tt.to), tt.sent)
		if !bytes.Equal(got, tt.got) || errs != tt.errs {
			t.Errorf("% X from %s to %s: % X, %+v, want % X, %+v", tt.sent, tt.from, tt.to, got, errs, tt.got, tt.errs)
		}
	}
}

func TestBreakIsOneCharacterHoweverLong(t *testing.T) {
	from := settings(t, "9600-8N1")
	took := from.Timing().Wire(1)
	line := from.level([]char{{end: 2 * took, held: true}, {b: 'x', begin: 3 * took, end: 4 * took}})
	for _, to := range []string{"9600-8N1", "9600-8E1", "19200-8N1"} {
		got, errs := settings(t, to).receive(line, 5*took)
		if errs.Break != 1 || got[0].b != 0 || to == "9600-8N1" && string(bytesOf(got)) != "\x00x" {
			t.Errorf("%s: % X, %+v", to, bytesOf(got), errs)
		}
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add(uint32(9600), uint32(19200), byte(0), byte(0), []byte{1, 3, 0, 0, 0, 1, 0x84, 0x0A})
	f.Add(uint32(115200), uint32(50), byte(1), byte(7), []byte("skyhaul"))
	f.Add(uint32(9632), uint32(19170), byte(0x9E), byte(0xAD), []byte("000000000000000000"))
	f.Fuzz(func(t *testing.T, from, to uint32, x, y byte, b []byte) {
		if len(b) == 0 || len(b) > 64 {
			return
		}
		a, c := anySettings(from, x), anySettings(to, y)
		cs := a.chars(b)
		end := cs[len(cs)-1].end + c.Timing().Wire(1)
		got, _ := c.receive(a.level(cs), end)
		// The next may begin where the first stop bit should be.
		if most := 1 + int(end/(c.Timing().Wire(1)-time.Duration(c.StopBits)*c.Timing().Bit)); len(got) > most {
			t.Errorf("%d characters in %v at %v: at most %d fit", len(got), end, c, most)
		}
		if same, errs := heard(a, a, b); a.DataBits == 8 && (!bytes.Equal(same, b) || errs != (serial.LineErrors{})) {
			t.Errorf("%v: % X, sent % X", a, same, b)
		}
	})
}

func anySettings(baud uint32, form byte) LineSettings {
	return LineSettings{
		Baud:     1200 + int(baud%200_000),
		DataBits: 7 + int(form&1),
		Parity:   []serial.Parity{'N', 'E', 'O', 'M', 'S'}[int(form>>1)%5],
		StopBits: 1 + int(form>>7),
	}
}
