package sim

import (
	"encoding/hex"
	"strings"

	"skyhaul/modbus"
)

// frame puts unit id and PDU into a frame of a line's framing.
func frame(f modbus.Framing, unit modbus.UnitID, p modbus.PDU) []byte {
	content := append([]byte{byte(unit)}, p...)
	if f == modbus.ASCII || f == modbus.ASCIIOverTCP {
		return frameASCII(content)
	}
	return appendCRC(content)
}

// frameASCII spells content with its checksum. MODBUS over Serial Line V1.02,
// section 2.5.2.
func frameASCII(content []byte) []byte {
	var sum byte
	for _, b := range content {
		sum += b
	}
	return []byte(":" + strings.ToUpper(hex.EncodeToString(append(content, -sum))) + "\r\n")
}

// appendCRC appends the checksum of an RTU frame, low byte first. MODBUS over
// Serial Line V1.02, section 6.2.2.
func appendCRC(frame []byte) []byte {
	crc := uint16(0xFFFF)
	for _, b := range frame {
		crc ^= uint16(b)
		for range 8 {
			low := crc & 1
			crc = crc>>1 ^ low*0xA001
		}
	}
	return append(frame, byte(crc), byte(crc>>8))
}
