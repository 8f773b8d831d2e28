package tap_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"skyhaul/modbus"
	"skyhaul/modbus/tap"
)

// capture is a client that reads two registers from unit 1, which takes 12 ms
// to answer, and then asks unit 2, which is not there.
const capture = `skyhaul tap 1
begun: 2026-11-23T00:40:00.125Z
source: /dev/ttyUSB0
framing: rtu
baud: 9600
character: 8E1

# by hand
0.150000 > 01 03 00 64 00 02 85 D4
0.171000 < 01 03 04 41 BC
0.175000 < 00 00 2F EB
0.300000 > 02 03 00 64 00 02 85 E7
`

func TestCaptureSurvivesWritingAndReading(t *testing.T) {
	h, chunks, err := tap.Read(strings.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := tap.NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(strings.Replace(capture, "# by hand\n", "", 1), out.String()); diff != "" {
		t.Error(diff)
	}
	if got, want := h.Timing(), (modbus.LineTiming{Bit: time.Second / 9600, CharBits: 11}); got != want {
		t.Errorf("timing %v, want %v", got, want)
	}
}

func TestReaderNamesTheLineThatIsWrong(t *testing.T) {
	head := "skyhaul tap 1\nframing: rtu\n\n"
	for text, want := range map[string]string{
		"":                                      `line 1: no capture: want "skyhaul tap 1"`,
		"skyhaul tap 2\n":                       `line 1: no capture: want "skyhaul tap 1"`,
		"skyhaul tap 1\nvoltage: 5\n":           `line 2: unknown key "voltage"`,
		"skyhaul tap 1\nframing: profibus\n":    `line 2: unknown framing "profibus"`,
		"skyhaul tap 1\nbaud: 0\n":              `line 2: 0 baud are not 1 to 1000000000`,
		"skyhaul tap 1\ncharacter: 9X3\n":       `line 2: character "9X3": want data bits, parity and stop bits such as 8E1`,
		head + "1.0 < 01":                       `line 4: time "1.0": want seconds with six decimals such as 0.025104`,
		head + "1.000000 = 01":                  `line 4: direction "=" is neither > nor <`,
		head + "1.000000 < 0":                   `line 4: bytes: encoding/hex: odd length hex string`,
		head + "1.000000 <":                     `line 4: 0 bytes are not 1 to 4096`,
		head + "1.000000 < 01\n0.999999 < 01\n": `line 5: the time runs backwards`,
	} {
		_, _, err := tap.Read(strings.NewReader(text))
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestClientOnAReplayGetsWhatWasCaptured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, chunks, err := tap.Read(strings.NewReader(capture))
		if err != nil {
			t.Fatal(err)
		}
		var again []tap.Chunk
		conn := tap.NewConn(tap.NewReplay(chunks), time.Now(), func(c tap.Chunk) { again = append(again, c) })
		client := modbus.NewClient(conn, h.Framing, h.Timing())
		req, err := modbus.ReadRequest(modbus.FuncReadHoldingRegisters, 100, 2)
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(t.Context(), 1, req, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := a.FirstByte, 21*time.Millisecond; got != want {
			t.Errorf("first byte after %v, want %v", got, want)
		}
		if _, err := client.Do(t.Context(), 2, req, time.Second); !errors.Is(err, modbus.ErrTimeout) {
			t.Errorf("unit that never answered: %v, want a timeout", err)
		}
		for i := range min(len(again), len(chunks)) {
			again[i].At, chunks[i].At = 0, 0 // a client of today is as fast as it likes
		}
		if diff := cmp.Diff(chunks, again); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReplayRefusesAnotherRequest(t *testing.T) {
	r := tap.NewReplay([]tap.Chunk{{Direction: tap.Sent, Bytes: []byte{1, 2, 3}}})
	if _, err := r.Write([]byte{1, 2}); err != nil {
		t.Error(err)
	}
	if n, err := r.Write([]byte{4}); err == nil || n != 0 {
		t.Errorf("another byte was taken: %d, %v", n, err)
	}
	if _, err := r.Write([]byte{3}); err != nil {
		t.Error(err)
	}
	if _, err := r.Write([]byte{3}); err == nil {
		t.Error("a byte after the last was taken")
	}
}

func TestReplayKeepsTheTimesOfAPassiveCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tap.NewReplay([]tap.Chunk{
			{At: time.Second, Direction: tap.Received, Bytes: []byte{1, 2, 3}},
			{At: time.Minute, Direction: tap.Received, Bytes: []byte{4}},
		})
		began := time.Now()
		buf := make([]byte, 2)
		type read struct {
			At    time.Duration
			Bytes string
			Err   error
		}
		want := []read{
			{time.Second, "\x01\x02", nil},
			{time.Second, "\x03", nil},
			{2 * time.Second, "", os.ErrDeadlineExceeded},
			{time.Minute, "\x04", nil},
			{time.Minute, "", io.EOF},
		}
		r.SetReadDeadline(began.Add(2 * time.Second))
		for got := []read(nil); ; {
			n, err := r.Read(buf)
			got = append(got, read{time.Since(began), string(buf[:n]), err})
			switch {
			case errors.Is(err, io.EOF):
				if diff := cmp.Diff(want, got, sameError); diff != "" {
					t.Error(diff)
				}
				return
			case err != nil:
				r.SetReadDeadline(time.Time{})
			}
		}
	})
}

var sameError = cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })

func TestCloseAndDeadlinesWakeAReplaysReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, wake := range map[error]func(r *tap.Replay){
			os.ErrClosed:           func(r *tap.Replay) { r.Close() },
			os.ErrDeadlineExceeded: func(r *tap.Replay) { r.SetReadDeadline(time.Unix(1, 0)) },
		} {
			r := tap.NewReplay([]tap.Chunk{{Direction: tap.Sent, Bytes: []byte{1}}})
			time.AfterFunc(time.Second, func() { wake(r) })
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("read ended with %v, want %v", err, want)
			}
		}
	})
}

// prompt is a connection that is answered before a write returns.
type prompt struct {
	modbus.Conn
	answered func()
}

func (p prompt) Write(b []byte) (int, error) {
	p.answered()
	return len(b), nil
}

func (prompt) Read(b []byte) (int, error) { return copy(b, "answer"), nil }

func TestConnTellsTheQuestionBeforeItsAnswer(t *testing.T) {
	var c *tap.Conn
	var told []tap.Direction
	far := prompt{answered: func() {
		if _, err := c.Read(make([]byte, 8)); err != nil {
			t.Error(err)
		}
	}}
	c = tap.NewConn(far, time.Now(), func(c tap.Chunk) { told = append(told, c.Direction) })
	if _, err := c.Write([]byte("question")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]tap.Direction{tap.Sent, tap.Received}, told); diff != "" {
		t.Error(diff)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(capture)
	f.Add("skyhaul tap 1\r\n\r\n0.000000 > FF\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, chunks, err := tap.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := tap.NewWriter(&out, h)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chunks {
			if err := w.Write(c); err != nil {
				t.Fatal(err)
			}
		}
		h2, chunks2, err := tap.Read(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("%v in what was written:\n%s", err, out.String())
		}
		if diff := cmp.Diff(chunks, chunks2); diff != "" {
			t.Error(diff)
		}
		if h.Framing != h2.Framing || h.Timing() != h2.Timing() {
			t.Errorf("header %+v became %+v", h, h2)
		}
	})
}
