package modbus

import "encoding/binary"

// crcTable holds the remainder of each byte. Serial, section 6.2.2.
var crcTable = func() (t [256]uint16) {
	const polynomial = 0xA001
	for i := range t {
		r := uint16(i)
		for range 8 {
			if r&1 == 1 {
				r = r>>1 ^ polynomial
			} else {
				r >>= 1
			}
		}
		t[i] = r
	}
	return t
}()

// CRC returns the checksum of an RTU frame, which follows it low byte first.
// Serial, section 6.2.2.
func CRC(b []byte) uint16 {
	r := uint16(0xFFFF)
	for _, c := range b {
		r = r>>8 ^ crcTable[byte(r)^c]
	}
	return r
}

// The lengths of an RTU frame. Serial, section 2.5.1.
const (
	minRTU = 4
	maxRTU = 256
)

// appendRTU appends the RTU frame of a PDU:
//
//	0         1          n+1
//	unit id | PDU of n | CRC, low byte first
func appendRTU(dst []byte, unit UnitID, p PDU) []byte {
	start := len(dst)
	dst = append(append(dst, byte(unit)), p...)
	return binary.LittleEndian.AppendUint16(dst, CRC(dst[start:]))
}

// intact reports whether adu ends with its own checksum.
func intact(adu []byte) bool {
	n := len(adu) - 2
	return len(adu) >= minRTU && CRC(adu[:n]) == binary.LittleEndian.Uint16(adu[n:])
}
