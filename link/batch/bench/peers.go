package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"skyhaul/edge/point"
)

// peers are the encodings in use today that a result compares ours with. Each
// makes a real payload of a batch, of the same readings, and leaves out what
// its doc comment says: all of that is in its favour. A NaN or an infinity,
// which JSON and line protocol can't carry, is no value to any of them.
var peers = []struct {
	name   string
	encode func(*rows) []byte
}{
	{"json_gzip", jsonGzip},
	{"influx_zstd", influxZstd},
	{"sparkplug_gzip", sparkplugGzip},
	{"columns_zstd", columnsZstd},
}

// PeerNames returns the keys of [Result.Peers] in the order to show them.
func PeerNames() []string {
	names := make([]string, len(peers))
	for i := range peers {
		names[i] = peers[i].name
	}
	return names
}

// comparison adds up what the peers make of batches; nil compares nothing.
type comparison struct {
	recording rows
	bytes     []int // of each peer
}

func newComparison(r *Recording) *comparison {
	all := rows{columns: r.schema.Columns, decimals: r.plain, scans: r.scans}
	if r.plain == nil {
		r.plain = decimalsOf(&all)
		all.decimals = r.plain
	}
	return &comparison{recording: all, bytes: make([]int, len(peers))}
}

// add is for a batch of the scans at to end.
func (c *comparison) add(at, end int) {
	if c == nil {
		return
	}
	b := c.recording
	b.scans = b.scans[at:end]
	for i := range peers {
		c.bytes[i] += len(peers[i].encode(&b))
	}
}

// perReading returns the bytes by name of the peer.
func (c *comparison) perReading(readings int) map[string]float64 {
	if c == nil {
		return nil
	}
	all := make(map[string]float64)
	for i := range peers {
		all[peers[i].name] = float64(c.bytes[i]) / float64(readings)
	}
	return all
}

// rows is a batch as the peers get it.
type rows struct {
	columns  []point.Column
	decimals []int // of each column, see decimalsOf
	scans    []point.Scan
}

// raw returns the bits of a cell; ok is false where it has no value.
func (b *rows) raw(scan, col int) (raw uint64, ok bool) {
	sc := &b.scans[scan]
	raw = sc.Values[col]
	v := b.columns[col].Type.Float(raw)
	return raw, sc.Quality[col].HasValue() && v-v == 0 // false for NaN and infinities
}

// jsonGzip makes an object a scan, one a line, null for no value; gzip -6.
// Quality and its reason are left out.
func jsonGzip(b *rows) []byte {
	keys := make([][]byte, len(b.columns))
	for i := range keys {
		keys[i], _ = json.Marshal(b.columns[i].Tag) // no string fails
	}
	var p []byte
	for i := range b.scans {
		p = append(p, `{"ts":`...)
		p = strconv.AppendInt(p, b.scans[i].Stamp.Wall, 10)
		for k := range keys {
			p = append(p, ',')
			p = append(p, keys[k]...)
			p = append(p, ':')
			if raw, ok := b.raw(i, k); ok {
				p = append(p, b.columns[k].Type.Format(raw)...)
			} else {
				p = append(p, "null"...)
			}
		}
		p = append(p, "}\n"...)
	}
	return gzipped(p)
}

// fieldKey escapes a field key of line protocol.
var fieldKey = strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `, "\n", `\n`)

// influxZstd makes a line of Influx line protocol a scan; zstd. The measurement
// has one letter, the time is in milliseconds, there are no tags and no type
// suffixes. Cells without a value are left out, and so is a scan of only such.
func influxZstd(b *rows) []byte {
	keys := make([]string, len(b.columns))
	for i := range keys {
		keys[i] = fieldKey.Replace(b.columns[i].Tag) + "="
	}
	var p []byte
	for i := range b.scans {
		before, sep := len(p), "s "
		for k := range keys {
			if raw, ok := b.raw(i, k); ok {
				p = append(p, sep...)
				p = append(p, keys[k]...)
				p = append(p, b.columns[k].Type.Format(raw)...)
				sep = ","
			}
		}
		if len(p) > before {
			p = append(p, ' ')
			p = strconv.AppendInt(p, b.scans[i].Stamp.Wall, 10)
			p = append(p, '\n')
		}
	}
	return zstdPacked(p)
}

// gzipWriters keeps writers for their memory, 800 KB each.
var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }} // the default level is 6

func gzipped(p []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	w.Write(p) // a bytes.Buffer takes all
	w.Close()
	return out.Bytes()
}

// zstdBest is at the highest level that there is in Go. Level 19 of the
// reference library makes the same columns 2 to 6 % and lines 8 to 20 % shorter.
var zstdBest = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // it is for a wrong option only
	}
	return e
})

func zstdPacked(p []byte) []byte { return zstdBest().EncodeAll(p, nil) }
