package config

import (
	"strings"
	"testing"
	"time"

	"skyhaul/modbus/serial"
)

// lineWith is a site with two neighbours on a serial line that has further keys.
func lineWith(keys string) string {
	return "[site]\nid = \"a\"\n[[line]]\nname = \"l\"\ndevice = \"ttyS7\"\n" + keys +
		"\n[[unit]]\nname = \"u\"\non = \"l\"\nid = 1\naddresses = \"zero-based\"\n" +
		"[[unit.point]]\nid = 1\ntag = \"A\"\naddress = 0\n[[unit.point]]\nid = 2\ntag = \"B\"\naddress = 1\n[[group]]\nname = \"fast\"\ninterval = \"1s\"\n"
}

// Nobody knows what the other client reads at once.
func TestOverheardPointsAreReadByThemselves(t *testing.T) {
	for keys, want := range map[string]int{"": 1, `listen_only = "30s"`: 2} {
		c, err := load(t, lineWith(keys))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.Plan()[0].Groups[0].Units[0].Blocks); got != want {
			t.Errorf("%q: %d blocks, want %d", keys, got, want)
		}
		if keys != "" && c.Lines[0].Listen != 30*time.Second {
			t.Errorf("%+v", c.Lines[0])
		}
	}
}

func TestDriversDirectionKeysNeedTheDriver(t *testing.T) {
	c, err := load(t, lineWith("rs485 = true\nrs485_rts_after_send = true\nrs485_delay_after = \"3ms\""))
	if err != nil {
		t.Fatal(err)
	}
	if got := *c.Lines[0].Serial.RS485; got != (serial.RS485{RTSAfterSend: true, DelayAfter: 3 * time.Millisecond}) {
		t.Errorf("%+v", got)
	}
	for keys, want := range map[string]string{
		`rs485_delay_after = "3ms"`:                  "rs485: must be true where rs485_* keys are given",
		"listen_only = \"30s\"\nframing = \"ascii\"": "listen_only: goes with framing rtu alone",
		"rs485 = true\nrs485_delay_after = \"3s\"":   `rs485_delay_after: "3s" is not between 0s and 100ms`,
	} {
		if _, err := load(t, lineWith(keys)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", keys, err)
		}
	}
}

// Nothing can be asked on a line that is only listened to.
func TestOverheardLineHasNoArchivesAndNoWrites(t *testing.T) {
	text := strings.Replace(lineWith(`listen_only = "10s"`), "id = 1\naddresses", "id = 1\ndialect = \"enron\"\naddresses", 1)
	_, err := load(t, strings.Replace(text, "[[group]]", "[unit.log]\nid = 5\nfields = [\"a uint16\"]\n[[group]]", 1))
	if err == nil || !strings.Contains(err.Error(), `unit "u": on: is a line that is only listened to`) {
		t.Error(err)
	}
	_, err = load(t, text+"[[gateway]]\nline = \"l\"\nlisten = \":1502\"\n[[gateway.write]]\nunit = \"u\"\naddresses = [\"7\"]\n")
	if err == nil || !strings.Contains(err.Error(), `write: can't be: line "l" is only listened to`) {
		t.Error(err)
	}
}
