package tap

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"skyhaul/modbus"
)

// Direction says which way bytes went.
type Direction byte

// The directions, as a capture writes them.
const (
	Sent     Direction = '>'
	Received Direction = '<'
)

// Chunk is what one call carried.
type Chunk struct {
	At        time.Duration // since the capture began
	Direction Direction
	Bytes     []byte
}

// Header says where and how a capture was made. The zero value of a field is
// not known.
type Header struct {
	Begun     time.Time // UTC
	Source    string    // device or host:port
	Framing   modbus.Framing
	Baud      int    // bits per second; 0 for an endpoint
	Character string // data bits, parity and stop bits, such as "8E1"; "" for an endpoint
}

// Timing returns how long bytes take on the line; zero for an endpoint.
func (h Header) Timing() modbus.LineTiming {
	if h.Baud <= 0 || len(h.Character) != 3 {
		return modbus.LineTiming{}
	}
	bits := 1 + int(h.Character[0]-'0') + int(h.Character[2]-'0')
	if h.Character[1] != 'N' {
		bits++
	}
	return modbus.LineTiming{Bit: time.Second / time.Duration(h.Baud), CharBits: bits}
}

const (
	magic     = "skyhaul tap 1"
	maxValue  = 256  // bytes of a header's value
	maxChunk  = 4096 // bytes of a chunk; a longer one is written as several
	maxLine   = 32 + 3*maxChunk
	maxOffset = 1 << 32 // seconds: 136 years
)

// Writer writes a capture. Not safe for concurrent use.
type Writer struct {
	w    io.Writer
	line []byte
}

// NewWriter begins a capture. Each chunk is passed to w at once.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	var b strings.Builder
	fmt.Fprintln(&b, magic)
	if !h.Begun.IsZero() {
		fmt.Fprintf(&b, "begun: %s\n", h.Begun.UTC().Format(time.RFC3339Nano))
	}
	if h.Source != "" {
		fmt.Fprintf(&b, "source: %s\n", oneLine(h.Source))
	}
	fmt.Fprintf(&b, "framing: %s\n", h.Framing)
	if h.Baud > 0 {
		fmt.Fprintf(&b, "baud: %d\n", h.Baud)
	}
	if h.Character != "" {
		fmt.Fprintf(&b, "character: %s\n", h.Character)
	}
	if _, err := fmt.Fprintln(w, b.String()); err != nil {
		return nil, err
	}
	return &Writer{w: w}, nil
}

// oneLine keeps a value on its line and within what a reader takes.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), maxValue)]
}

// Write appends a chunk.
func (w *Writer) Write(c Chunk) error {
	for rest := c.Bytes; len(rest) > 0; {
		n := min(len(rest), maxChunk)
		w.line = fmt.Appendf(w.line[:0], "%d.%06d %c % X\n", c.At/time.Second, c.At%time.Second/time.Microsecond, c.Direction, rest[:n])
		if _, err := w.w.Write(w.line); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// Reader reads a capture. Not safe for concurrent use.
type Reader struct {
	header Header
	lines  *bufio.Scanner
	number int // of the line read last
	last   time.Duration
}

// NewReader reads the header of a capture. Errors of a reader name the line.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{lines: bufio.NewScanner(r)}
	d.lines.Buffer(nil, maxLine)
	first, ok := d.next()
	switch {
	case !ok && d.lines.Err() != nil:
		return nil, d.lines.Err()
	case first != magic:
		return nil, fmt.Errorf("line 1: no capture: want %q", magic)
	}
	for {
		line, ok := d.next()
		switch {
		case !ok:
			return d, d.lines.Err()
		case line == "":
			return d, nil
		case line[0] == '#':
			continue
		}
		if err := d.header.set(line); err != nil {
			return nil, d.fail(err)
		}
	}
}

func (d *Reader) next() (line string, ok bool) {
	ok = d.lines.Scan()
	d.number++
	return strings.TrimSuffix(d.lines.Text(), "\r"), ok
}

func (d *Reader) fail(err error) error { return fmt.Errorf("line %d: %w", d.number, err) }

// Header returns what the capture says of itself.
func (d *Reader) Header() Header { return d.header }

// Next returns the next chunk, [io.EOF] after the last.
func (d *Reader) Next() (Chunk, error) {
	for {
		line, ok := d.next()
		switch {
		case !ok && d.lines.Err() != nil:
			return Chunk{}, d.fail(d.lines.Err())
		case !ok:
			return Chunk{}, io.EOF
		case line == "" || line[0] == '#':
			continue
		}
		c, err := parseChunk(line)
		if err == nil && c.At < d.last {
			err = errors.New("the time runs backwards")
		}
		if err != nil {
			return Chunk{}, d.fail(err)
		}
		d.last = c.At
		return c, nil
	}
}

// Read reads a whole capture.
func Read(r io.Reader) (Header, []Chunk, error) {
	d, err := NewReader(r)
	if err != nil {
		return Header{}, nil, err
	}
	var chunks []Chunk
	for {
		c, err := d.Next()
		switch {
		case errors.Is(err, io.EOF):
			return d.header, chunks, nil
		case err != nil:
			return Header{}, nil, err
		}
		chunks = append(chunks, c)
	}
}

// set takes in a line of the header.
func (h *Header) set(line string) (err error) {
	key, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxValue {
		return fmt.Errorf("%.20q: want a key, a colon and a value of up to %d bytes", line, maxValue)
	}
	switch key {
	case "begun":
		h.Begun, err = time.Parse(time.RFC3339Nano, value)
		h.Begun = h.Begun.UTC()
	case "source":
		h.Source = value
	case "framing":
		h.Framing, err = parseFraming(value)
	case "baud":
		h.Baud, err = strconv.Atoi(value)
		if err == nil && (h.Baud < 1 || h.Baud > 1e9) {
			err = fmt.Errorf("%d baud are not 1 to 1000000000", h.Baud)
		}
	case "character":
		h.Character = value
		if len(value) != 3 || !strings.Contains("5678", value[:1]) || !strings.Contains("NEOMS", value[1:2]) || !strings.Contains("12", value[2:]) {
			err = fmt.Errorf("character %q: want data bits, parity and stop bits such as 8E1", value)
		}
	default:
		err = fmt.Errorf("unknown key %.20q", key)
	}
	return err
}

func parseFraming(name string) (modbus.Framing, error) {
	for _, f := range []modbus.Framing{modbus.RTU, modbus.TCP, modbus.RTUOverTCP, modbus.ASCII, modbus.ASCIIOverTCP} {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown framing %.20q", name)
}

// parseChunk reads "0.025104 < 01 03".
func parseChunk(line string) (c Chunk, err error) {
	offset, rest, _ := strings.Cut(line, " ")
	if c.At, err = parseOffset(offset); err != nil {
		return Chunk{}, err
	}
	way, digits, _ := strings.Cut(rest, " ")
	if way != string(rune(Sent)) && way != string(rune(Received)) {
		return Chunk{}, fmt.Errorf("direction %.8q is neither > nor <", way)
	}
	c.Direction = Direction(way[0])
	c.Bytes, err = hex.DecodeString(string(bytes.ReplaceAll([]byte(digits), []byte(" "), nil)))
	if err != nil {
		return Chunk{}, fmt.Errorf("bytes: %w", err)
	}
	if len(c.Bytes) == 0 || len(c.Bytes) > maxChunk {
		return Chunk{}, fmt.Errorf("%d bytes are not 1 to %d", len(c.Bytes), maxChunk)
	}
	return c, nil
}

// parseOffset reads seconds with six decimals.
func parseOffset(s string) (time.Duration, error) {
	whole, micros, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseUint(whole, 10, 63)
	us, err2 := strconv.ParseUint(micros, 10, 32)
	if err != nil || err2 != nil || len(micros) != 6 || sec >= maxOffset {
		return 0, fmt.Errorf("time %.24q: want seconds with six decimals such as 0.025104", s)
	}
	return time.Duration(sec)*time.Second + time.Duration(us)*time.Microsecond, nil
}
