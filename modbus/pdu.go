// Package modbus speaks Modbus: the PDUs of every function of the standard and
// of [Dialect]s, the framings RTU, ASCII and TCP, a client that never takes a
// late, foreign or damaged answer for its own, a server, units to serve, and the
// codecs between registers, values and times.
//
// It knows no point, no schedule and no port: a framing works on any
// connection with deadlines. Sources are named where a fact is used: "V1.1b3"
// is the MODBUS Application Protocol Specification V1.1b3 (2012), "Serial" the
// MODBUS over Serial Line Specification V1.02, "TCP" the MODBUS Messaging on
// TCP/IP Implementation Guide V1.0b.
package modbus

// UnitID is the address of a unit on a line: 1 to 247, 0 for broadcast.
type UnitID uint8

// PDU is a function code and its data, without unit id and checksum: at most
// MaxPDU bytes.
type PDU []byte

// MaxPDU is the greatest length of a PDU. V1.1b3, section 4.1.
const MaxPDU = 253

// Function returns the function code, its exception bit included; 0 for an empty PDU.
func (p PDU) Function() FunctionCode {
	if len(p) == 0 {
		return 0
	}
	return FunctionCode(p[0])
}
