package survey_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"skyhaul/modbus"
	"skyhaul/modbus/serial"
	"skyhaul/modbus/sim"
	"skyhaul/modbus/survey"
)

func unitOf() *modbus.Bank {
	b := new(modbus.Bank)
	for addr := range uint16(20) {
		b.Set(modbus.HoldingRegisters, addr, 0x0100+addr)
	}
	return b
}

func three() modbus.Units { return modbus.Units{1: unitOf(), 3: unitOf(), 7: unitOf()} }

func settings(t *testing.T, s string) sim.LineSettings {
	t.Helper()
	l, err := sim.ParseLineSettings(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// surveyed scans a simulated line.
func surveyed(t *testing.T, plant sim.Options, f sim.Faults, o survey.Options) (r survey.Report, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cable := new(sim.Cable)
		plant.Open = cable.Open
		line := sim.NewLine(plant)
		line.SetFaults(f)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- line.Run(ctx) }()
		synctest.Wait()
		port := func(ctx context.Context, s survey.Settings) (modbus.Conn, error) {
			return cable.DialAs(ctx, sim.LineSettings{Baud: s.Baud, DataBits: s.DataBits(), Parity: s.Parity, StopBits: s.StopBits})
		}
		began := time.Now()
		var err error
		if r, err = survey.Scan(ctx, port, o); err != nil {
			t.Error(err)
		}
		took = time.Since(began)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r, took
}

func ids(first, last int) (ids []modbus.UnitID) {
	for i := first; i <= last; i++ {
		ids = append(ids, modbus.UnitID(i))
	}
	return ids
}

func few(bauds ...int) survey.Options {
	return survey.Options{Settings: survey.Usual(modbus.RTU, bauds, []serial.Parity{'N', 'E'}, false), Units: ids(1, 8)}
}

// doubled is a line on which everything is answered twice, by units that are not
// equally fast.
type doubled struct{ net.Conn }

func (d doubled) Write(p []byte) (int, error) {
	d.Conn.Write(p)
	time.Sleep(30 * time.Millisecond)
	return d.Conn.Write(p)
}

func TestTwoUnitsWithOneIDOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := func(context.Context, survey.Settings) (modbus.Conn, error) {
			near, far := net.Pipe()
			go modbus.Serve(t.Context(), doubled{far}, modbus.RTU, modbus.LineTiming{}, modbus.Units{5: unitOf()})
			return near, nil
		}
		r, err := survey.Scan(t.Context(), port, survey.Options{Settings: survey.Usual(modbus.RTU, []int{9600}, []serial.Parity{'N'}, false), Units: ids(5, 6)})
		if err != nil || r.Verdict != survey.Twins {
			t.Errorf("%v: %s, %v", r.Verdict, r.Evidence, err)
		}
	})
}

func TestFindsTheSlowUnitAmongAbsentOnes(t *testing.T) {
	plant := sim.Options{Settings: settings(t, "9600-8N1"), Units: modbus.Units{8: unitOf()}, Turnaround: 300 * time.Millisecond}
	r, _ := surveyed(t, plant, sim.Faults{}, survey.Options{Settings: survey.Usual(modbus.RTU, []int{9600}, []serial.Parity{'N'}, false), Units: ids(1, 30)})
	if want := "valid at 9600 8N1: unit 8"; r.Evidence != want || r.Units[0].Turnaround < 290*time.Millisecond {
		t.Errorf("%s, want %s: %+v", r.Evidence, want, r.Units)
	}
}

func TestFindsUnitsThatSpeakASCII(t *testing.T) {
	plant := sim.Options{Settings: settings(t, "9600-7E1"), Framing: modbus.ASCII, Units: three(), Turnaround: 5 * time.Millisecond}
	r, _ := surveyed(t, plant, sim.Faults{}, survey.Options{Settings: survey.Usual(modbus.ASCII, []int{19200, 9600}, nil, false), Units: ids(1, 4)})
	if want := "valid at 9600 7E1 ascii: units 1 and 3"; r.Evidence != want {
		t.Errorf("%s, want %s", r.Evidence, want)
	}
}

func TestProgressTellsWhereAScanIs(t *testing.T) {
	var last survey.Progress
	o := few(9600)
	o.Listen = -1
	o.Progress = func(p survey.Progress) {
		if p.Done < last.Done || p.Left < 0 {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}
	plant := sim.Options{Settings: settings(t, "9600-8N1"), Units: three(), Turnaround: 5 * time.Millisecond}
	surveyed(t, plant, sim.Faults{}, o)
	if last.Unit != 8 || last.Done != 7 || last.Total != 8 || len(last.Found) != 3 {
		t.Errorf("at last %+v", last)
	}
}

func TestSettingsInTheOrderOfTheirLikelihood(t *testing.T) {
	names := func(list []survey.Settings) (text string) {
		for _, s := range list {
			text += s.String() + ", "
		}
		return text
	}
	for _, c := range []struct {
		list []survey.Settings
		want string
	}{
		{survey.Usual(modbus.RTU, nil, nil, false)[:3], "9600 8N1, 19200 8E1, 9600 8E1, "},
		{survey.Usual(modbus.RTU, []int{19200}, nil, false), "19200 8E1, 19200 8N1, 19200 8O1, "},
		{survey.Usual(modbus.RTU, []int{12345}, []serial.Parity{'E'}, false), "12345 8E1, "},
		{survey.Usual(modbus.ASCII, []int{9600}, nil, false), "9600 7N2 ascii, 9600 7E1 ascii, 9600 7O1 ascii, "},
	} {
		if got := names(c.list); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if n := len(survey.Usual(modbus.RTU, nil, nil, true)); n != 24 {
		t.Errorf("a full list has %d settings, want 8 bauds times 3 parities", n)
	}
}

func TestVerdictsOnALine(t *testing.T) {
	other := new(modbus.Bank)
	other.Set(modbus.HoldingRegisters, 0, 0xA5A5, 0x5A5A, 0xA5A5)
	poll, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		line     string
		change   func(*sim.Options)
		faults   sim.Faults
		verdict  survey.Verdict
		evidence string
	}{
		"units": {"19200-8E1", nil, sim.Faults{}, survey.Answers, "valid at 19200 8E1: units 1, 3 and 7"},
		"another's baud": {"1200-8N1", nil, sim.Faults{}, survey.Nothing, "nothing was received, not a byte, after 32 requests at 4 settings: power of the units, " +
			"A and B connected at all, the unit id (asked: 1-8), the adapter's direction"},
		"no unit": {"9600-8N1", func(o *sim.Options) { o.Units = modbus.Units{} }, sim.Faults{}, survey.Nothing, "nothing was received"},
		"echo":    {"9600-8N1", func(o *sim.Options) { o.Units = modbus.Units{} }, sim.Faults{Echo: true}, survey.OnlyEcho, "only the echo of what is sent comes back"},
		"echo and units": {
			"9600-8N1", nil,
			sim.Faults{Echo: true},
			survey.Answers,
			"valid at 9600 8N1: units 1, 3 and 7; the line repeats what is sent, which does no harm",
		},
		"swapped wires": {"9600-8N1", nil, sim.Faults{Swapped: true}, survey.Garbled, "bytes follow whatever is sent, but no frame at any of 4 settings"},
		"lenient units at another speed": {
			"38400-8O1", func(o *sim.Options) { o.Lenient = true },
			sim.Faults{},
			survey.Garbled,
			"requests were followed by bytes, but by no frame at any of 4 settings, from units 1, 3 and 7",
		},
		"twins": {
			"9600-8N1", func(o *sim.Options) { o.Twins = modbus.Units{3: other} },
			sim.Faults{},
			survey.Twins,
			"two units have id 3 at 9600 8N1: 4 of 4 answers are damaged or doubled, while those of units 1 and 7 are intact",
		},
		"twins alone": {
			"19200-8E1", func(o *sim.Options) { o.Units, o.Twins = modbus.Units{3: unitOf()}, modbus.Units{3: other} },
			sim.Faults{},
			survey.Twins,
			"two units have id 3 at 19200 8E1: 4 of 4 answers are damaged or doubled, at these settings and from this id alone",
		},
		"another client": {
			"19200-8E1", func(o *sim.Options) { o.Others = []sim.Poller{{Unit: 7, Request: poll, Every: time.Second}} },
			sim.Faults{},
			survey.Occupied,
			"another client talks on the line at 19200 8E1: in 1.5s it asked unit 7 ",
		},
		"no termination": {"9600-8N1", nil, sim.Faults{Corrupt: 0.01}, survey.Noisy, "valid at 9600 8N1: "},
		"slow units":     {"9600-8N1", func(o *sim.Options) { o.Turnaround = 300 * time.Millisecond }, sim.Faults{}, survey.Answers, "valid at 9600 8N1: units 1, 3 and 7"},
	} {
		t.Run(name, func(t *testing.T) {
			plant := sim.Options{Settings: settings(t, c.line), Units: three(), Turnaround: 5 * time.Millisecond}
			if c.change != nil {
				c.change(&plant)
			}
			r, took := surveyed(t, plant, c.faults, few(9600, 19200))
			if r.Verdict != c.verdict || !strings.Contains(r.Evidence, c.evidence) {
				t.Errorf("verdict %d, want %d, %s\nwant %s", r.Verdict, c.verdict, r.Evidence, c.evidence)
			}
			t.Logf("%v, %d requests: %s", took.Round(time.Millisecond), r.Requests, r.Evidence)
		})
	}
}
