package bench

import (
	"encoding/binary"

	"skyhaul/edge/point"
)

// The wire types of Protocol Buffers that Sparkplug B needs.
const (
	varint  = 0
	fixed64 = 1
	bytesOf = 2
	fixed32 = 5
)

// The tags (field number and wire type) of sparkplug_b.proto, Eclipse Tahu.
const (
	payloadTimestamp = 1<<3 | varint
	payloadMetric    = 2<<3 | bytesOf
	payloadSeq       = 3<<3 | varint

	metricAlias      = 2<<3 | varint
	metricTimestamp  = 3<<3 | varint
	metricIsNull     = 7<<3 | varint
	metricProperties = 9<<3 | bytesOf
	metricInt        = 10<<3 | varint
	metricLong       = 11<<3 | varint
	metricFloat      = 12<<3 | fixed32
	metricDouble     = 13<<3 | fixed64
	metricBoolean    = 14<<3 | varint

	propertiesKey   = 1<<3 | bytesOf
	propertiesValue = 2<<3 | bytesOf
	propertyType    = 1<<3 | varint
	propertyInt     = 3<<3 | varint
)

// badQuality is the properties of a metric that has no value: Quality, an
// Int32 (3), of which Sparkplug says that 0 is bad.
var badQuality = []byte{
	metricProperties, 15,
	propertiesKey, 7, 'Q', 'u', 'a', 'l', 'i', 't', 'y',
	propertiesValue, 4, propertyType, 3, propertyInt, 0,
}

// sparkplugGzip makes one Sparkplug B payload, a metric a cell in order of time;
// gzip -6. Names and datatypes are those of a birth that isn't counted, the
// alias is the column's place, no metric is marked historical, and the payload
// that names the compression around it is left out.
func sparkplugGzip(b *rows) []byte {
	p := []byte{payloadTimestamp}
	p = binary.AppendUvarint(p, uint64(b.scans[len(b.scans)-1].Stamp.Wall))
	var m []byte
	for i := range b.scans {
		for k := range b.columns {
			m = binary.AppendUvarint(append(m[:0], metricAlias), uint64(k))
			m = binary.AppendUvarint(append(m, metricTimestamp), uint64(b.scans[i].Stamp.Wall))
			if raw, ok := b.raw(i, k); ok {
				m = appendSparkplugValue(m, b.columns[k].Type, raw)
			} else {
				m = append(append(m, metricIsNull, 1), badQuality...)
			}
			p = binary.AppendUvarint(append(p, payloadMetric), uint64(len(m)))
			p = append(p, m...)
		}
	}
	return gzipped(append(p, payloadSeq, 0))
}

// appendSparkplugValue appends a value as the datatype of the same name has it.
// An Int16 or Int32 is the two's complement in its own width.
func appendSparkplugValue(m []byte, t point.Type, raw uint64) []byte {
	switch t {
	case point.Bool:
		return append(m, metricBoolean, byte(raw))
	case point.Float32:
		return binary.LittleEndian.AppendUint32(append(m, metricFloat), uint32(raw))
	case point.Float64:
		return binary.LittleEndian.AppendUint64(append(m, metricDouble), raw)
	case point.Int64, point.Uint64:
		return binary.AppendUvarint(append(m, metricLong), raw)
	}
	return binary.AppendUvarint(append(m, metricInt), raw)
}
