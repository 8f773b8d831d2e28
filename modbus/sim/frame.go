package sim

import (
	"encoding/binary"
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
	return binary.LittleEndian.AppendUint16(content, modbus.CRC(content))
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
