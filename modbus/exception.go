package modbus

import "fmt"

// Exception is the code of an exception answer. As an error it says that the
// unit was there, understood who was meant and declined: the answer itself was
// valid. V1.1b3, section 7.
type Exception uint8

// The exception codes. V1.1b3, section 7.
const (
	IllegalFunction     Exception = 0x01
	IllegalDataAddress  Exception = 0x02
	IllegalDataValue    Exception = 0x03
	ServerDeviceFailure Exception = 0x04
	Acknowledge         Exception = 0x05 // accepted, takes long: do not send it again
	ServerDeviceBusy    Exception = 0x06
	MemoryParityError   Exception = 0x08
	GatewayPath         Exception = 0x0A // gateway path unavailable: a gateway is set up wrong
	GatewayTarget       Exception = 0x0B // the unit behind the gateway did not answer
)

var exceptionNames = map[Exception]string{
	IllegalFunction:     "illegal function",
	IllegalDataAddress:  "illegal data address",
	IllegalDataValue:    "illegal data value",
	ServerDeviceFailure: "server device failure",
	Acknowledge:         "acknowledge",
	ServerDeviceBusy:    "server device busy",
	MemoryParityError:   "memory parity error",
	GatewayPath:         "gateway path unavailable",
	GatewayTarget:       "gateway target device failed to respond",
}

// Error returns the code and its name, such as "exception 02: illegal data address".
func (e Exception) Error() string {
	if name, ok := exceptionNames[e]; ok {
		return fmt.Sprintf("exception %02X: %s", uint8(e), name)
	}
	return fmt.Sprintf("exception %02X", uint8(e))
}

// exceptionBit marks the function code of an exception answer. V1.1b3, section 4.1.
const exceptionBit = 0x80

// Answer returns the PDU that declines req with e.
func (e Exception) Answer(req PDU) PDU {
	return PDU{byte(req.Function()) | exceptionBit, byte(e)}
}
