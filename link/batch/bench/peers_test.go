package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"skyhaul/edge/point"
)

// line is a scan as a peer's reader gets it: values by tag, as texts.
type line struct {
	Wall  int64
	Cells map[string]string
}

// readers undo what the peers of the same name do. They know of a batch what
// the encoder takes as known at both ends.
var readers = map[string]func(b *rows, p []byte) ([]line, error){
	"json_gzip": readJSON, "influx_zstd": readLineProtocol, "sparkplug_gzip": readSparkplug, "columns_zstd": readColumns,
}

func TestPeersCanBeReadBack(t *testing.T) {
	odd := write(t, "odd.csv", oddRecording)
	types := write(t, "odd.map.json", oddTypes)
	for _, c := range []struct {
		file, types string
		length      time.Duration
	}{
		{"testdata/rig1s.csv.zst", "", time.Minute},
		{"testdata/comp10s.csv.zst", "", 15 * time.Minute},
		{"testdata/plant5m.csv.zst", "", time.Minute},
		{"testdata/plant5m.csv.zst", "", 6 * time.Hour},
		{odd, types, 2 * time.Second},
		{odd, types, time.Hour},
	} {
		r, err := Load(c.file, c.types)
		if err != nil {
			t.Fatal(err)
		}
		all := newComparison(r).recording
		want := written(t, c.file, r.schema.Columns)
		for _, p := range peers {
			var got []line
			for at := 0; at < len(r.scans); {
				b, end := all, r.end(at, 0, c.length)
				b.scans = all.scans[at:end]
				lines, err := readers[p.name](&b, p.encode(&b))
				if err != nil {
					t.Fatalf("%s of %s: %v", p.name, c.file, err)
				}
				got = append(got, lines...)
				at = end
			}
			want := want
			if p.name == "influx_zstd" {
				want = withCells(want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s in batches of %v (-want +got):\n%.2000s", p.name, c.file, c.length, diff)
			}
		}
	}
}

// Every type at its ends, times that go back, cells and scans without a value,
// names that need escaping.
const (
	oddRecording = `ts_ms,b,i16,u16,i32,u32,i64,u64,f32,"a name, with = and ""quotes""",tiny,minus
-4000,0,-32768,65535,-2147483648,4294967295,-9223372036854775808,18446744073709551615,3e38,1e300,1e-300,0.1
-3000,1,32767,0,2147483647,0,9223372036854775807,0,-1e-40,-0.1,-0.25,0.2
-3001,1,32767,0,2147483647,0,9223372036854775807,0,NaN,+Inf,0.125,-0.3
-1000,,,,,,,,,,,
0,,,7,,,,9007199254740993,-0,-0,,-0
1795360800123,1,-1,1,-1,1,-1,1,16777217,0.30000000000000004,5,0.1
`
	oddTypes = `[{"tag": "b", "type": "bool"}, {"tag": "i16", "type": "int16"}, {"tag": "u16", "type": "uint16"},
		{"tag": "i32", "type": "int32"}, {"tag": "u32", "type": "uint32"}, {"tag": "i64", "type": "int64"},
		{"tag": "u64", "type": "uint64"}, {"tag": "f32", "type": "float32"},
		{"tag": "a name, with = and \"quotes\"", "type": "float64"}, {"tag": "tiny", "type": "float64"},
		{"tag": "minus", "type": "float64"}]`
)

// written returns the lines of a file, each cell as its column's type formats it.
func written(t *testing.T, path string, columns []point.Column) (lines []line) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, ".zst") {
		b, err = unzstd(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range table[1:] {
		l := line{Cells: make(map[string]string)}
		l.Wall, err = strconv.ParseInt(row[0], 10, 64)
		for i, cell := range row[1:] {
			if cell == "" || cell == "NaN" || cell == "+Inf" {
				continue
			}
			raw, e := columns[i].Type.Parse(cell)
			l.Cells[columns[i].Tag] = columns[i].Type.Format(raw)
			err = errors.Join(err, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func withCells(all []line) (lines []line) {
	for _, l := range all {
		if len(l.Cells) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

func unzstd(p []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(p, nil)
}

func gunzip(p []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func readJSON(_ *rows, p []byte) (lines []line, err error) {
	if p, err = gunzip(p); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber()
	for d.More() {
		var object map[string]*json.Number
		if err := d.Decode(&object); err != nil {
			return nil, err
		}
		l := line{Cells: make(map[string]string)}
		if l.Wall, err = object["ts"].Int64(); err != nil {
			return nil, err
		}
		delete(object, "ts")
		for tag, v := range object {
			if v != nil {
				l.Cells[tag] = v.String()
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// escaped holds what line protocol escapes in a key, as single letters that
// neither keys nor syntax have.
var (
	escaped   = strings.NewReplacer(`\ `, "\x01", `\,`, "\x02", `\=`, "\x03")
	unescaped = strings.NewReplacer("\x01", " ", "\x02", ",", "\x03", "=")
)

func readLineProtocol(_ *rows, p []byte) (lines []line, err error) {
	if p, err = unzstd(p); err != nil {
		return nil, err
	}
	for text := range strings.Lines(string(p)) {
		parts := strings.Split(escaped.Replace(strings.TrimSuffix(text, "\n")), " ")
		if len(parts) != 3 || parts[0] != "s" {
			return nil, errors.New(text)
		}
		l := line{Cells: make(map[string]string)}
		if l.Wall, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
			return nil, err
		}
		for field := range strings.SplitSeq(parts[1], ",") {
			key, value, _ := strings.Cut(field, "=")
			l.Cells[unescaped.Replace(key)] = value
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// field is one of a Protocol Buffers message.
type field struct {
	tag    byte
	number uint64 // of varint, fixed32 and fixed64
	bytes  []byte
}

// fields reads a message of which all field numbers are less than 16.
func fields(p []byte) (all []field, err error) {
	for len(p) > 0 {
		f := field{tag: p[0]}
		p = p[1:]
		size, n := 0, 0
		switch f.tag & 7 {
		case fixed32:
			if n = 4; len(p) >= n {
				f.number = uint64(binary.LittleEndian.Uint32(p))
			}
		case fixed64:
			if n = 8; len(p) >= n {
				f.number = binary.LittleEndian.Uint64(p)
			}
		case varint:
			f.number, n = binary.Uvarint(p)
		case bytesOf:
			f.number, n = binary.Uvarint(p)
			size = int(f.number)
		}
		if n <= 0 || len(p)-n < size {
			return nil, errors.New("cut message")
		}
		f.bytes, p = p[n:n+size], p[n+size:]
		all = append(all, f)
	}
	return all, nil
}

func readSparkplug(b *rows, p []byte) (lines []line, err error) {
	if p, err = gunzip(p); err != nil {
		return nil, err
	}
	payload, err := fields(p)
	if err != nil {
		return nil, err
	}
	n := 0 // metrics
	for _, f := range payload {
		if f.tag != payloadMetric {
			continue
		}
		if n%len(b.columns) == 0 {
			lines = append(lines, line{Cells: make(map[string]string)})
		}
		if err := readMetric(&lines[len(lines)-1], b.columns, f.bytes); err != nil {
			return nil, err
		}
		n++
	}
	if last := payload[len(payload)-1]; payload[0].number != uint64(lines[len(lines)-1].Wall) || last.tag != payloadSeq {
		return nil, errors.New("payload without its timestamp or seq")
	}
	return lines, nil
}

// sparkplugFields are where the datatypes that a birth would declare have their values.
var sparkplugFields = map[point.Type]byte{
	point.Bool: metricBoolean, point.Int16: metricInt, point.Uint16: metricInt, point.Int32: metricInt, point.Uint32: metricInt,
	point.Int64: metricLong, point.Uint64: metricLong, point.Float32: metricFloat, point.Float64: metricDouble,
}

func readMetric(l *line, columns []point.Column, p []byte) error {
	metric, err := fields(p)
	if err != nil {
		return err
	}
	var c point.Column
	null, bad := false, false
	for _, f := range metric {
		switch f.tag {
		case metricAlias:
			c = columns[f.number]
		case metricTimestamp:
			l.Wall = int64(f.number)
		case metricIsNull:
			null = true
		case metricProperties:
			bad = bytes.Equal(append([]byte{metricProperties, byte(len(f.bytes))}, f.bytes...), badQuality)
		case sparkplugFields[c.Type]:
			l.Cells[c.Tag] = c.Type.Format(f.number)
		default:
			return errors.New("unknown field, or not of the datatype")
		}
	}
	if _, value := l.Cells[c.Tag]; null == value || bad == value {
		return errors.New("metric with a value and none, or neither")
	}
	return nil
}

func readColumns(b *rows, p []byte) ([]line, error) {
	p, err := unzstd(p)
	if err != nil {
		return nil, err
	}
	src := bytes.NewReader(p)
	number := func() (v int64) {
		v, e := binary.ReadVarint(src)
		err = errors.Join(err, e)
		return v
	}
	count := func() (v uint64) {
		v, e := binary.ReadUvarint(src)
		err = errors.Join(err, e)
		return v
	}
	lines := make([]line, min(count(), uint64(len(b.scans))))
	var wall, step int64
	for i := range lines {
		step += number()
		wall += step
		lines[i] = line{wall, make(map[string]string)}
	}
	missing := make([]bool, len(lines)*len(b.columns))
	at := uint64(0)
	for none, runs := false, count(); runs > 0 && err == nil; none, runs = !none, runs-1 {
		at += count()
		for i := at; i < uint64(len(missing)); i++ {
			missing[i] = !none
		}
	}
	for k, c := range b.columns {
		var last int64
		for i := range lines {
			if !missing[k*len(lines)+i] {
				last += number()
				lines[i].Cells[c.Tag] = decimal(c.Type, last, b.decimals[k])
			}
		}
	}
	if src.Len() > 0 {
		err = errors.Join(err, errors.New("bytes left over"))
	}
	return lines, err
}

// decimal is the inverse of integer.
func decimal(t point.Type, v int64, decimals int) string {
	if decimals == plainBits {
		switch t {
		case point.Float32:
			w := int32(v)
			return t.Format(uint64(uint32(w ^ w>>31&math.MaxInt32)))
		case point.Float64:
			return t.Format(uint64(v ^ v>>63&math.MaxInt64))
		}
		return t.Format(uint64(v))
	}
	raw, err := t.Parse(strconv.FormatInt(v, 10) + "e-" + strconv.Itoa(decimals))
	if decimals == 0 {
		raw, err = t.Parse(strconv.FormatInt(v, 10))
	}
	if err != nil {
		return err.Error()
	}
	return t.Format(raw)
}

// The bytes are those that Google's library makes of these metrics under
// sparkplug_b.proto.
func TestSparkplugPayloadIsThatOfAProtobufLibrary(t *testing.T) {
	r, err := Load(write(t, "x.csv", "ts_ms,a,b\n1000,1.5,\n2000,,-2\n3000,0.5,300\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := gunzip(sparkplugGzip(&newComparison(r).recording))
	if err != nil {
		t.Fatal(err)
	}
	const want = "08b817" +
		"120a100018e807650000c03f" + "1218100118e80738014a0f0a075175616c697479120408031800" +
		"1218100018d00f38014a0f0a075175616c697479120408031800" + "1209100118d00f50feff03" +
		"120a100018b817650000003f" + "1208100118b81750ac02" +
		"1800"
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
}

func TestPeersAreInTheResult(t *testing.T) {
	r, err := Load("testdata/rig1s.csv.zst", "")
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Measure(t.Context(), 15*time.Minute, Options{Peers: true})
	if err != nil {
		t.Fatal(err)
	}
	// The figures reached, and 2 %: longer ones would flatter ours.
	for name, most := range map[string]float64{"json_gzip": 2.67, "influx_zstd": 2.36, "sparkplug_gzip": 4.28, "columns_zstd": 1.05} {
		if got := res.Peers[name]; got > most || got == 0 {
			t.Errorf("%s: %.3f bytes a reading, at most %.2f", name, got, most)
		}
	}
	if len(res.Peers) != len(PeerNames()) {
		t.Errorf("%d peers, want %d", len(res.Peers), len(PeerNames()))
	}
}
