package modbus

import (
	"encoding/binary"
	"fmt"
)

// Diagnostic is a sub-function of function 8. V1.1b3, section 6.8.1.
type Diagnostic uint16

// The sub-functions of function 8.
const (
	DiagLoopback         Diagnostic = 0  // the unit sends the data back
	DiagRestart          Diagnostic = 1  // restart communication and end listen-only mode; data FF00 clears the event log as well, 0 does not
	DiagRegister         Diagnostic = 2  // read the diagnostic register
	DiagDelimiter        Diagnostic = 3  // change the delimiter of ASCII frames to the high byte of the data
	DiagListenOnly       Diagnostic = 4  // be silent until the next restart; has no answer
	DiagClear            Diagnostic = 10 // clear the counters and the diagnostic register
	DiagBusMessages      Diagnostic = 11 // read: messages seen on the line
	DiagBusErrors        Diagnostic = 12 // read: checksum errors seen on the line
	DiagBusExceptions    Diagnostic = 13 // read: exceptions answered
	DiagServerMessages   Diagnostic = 14 // read: requests to this unit, broadcasts included
	DiagServerNoResponse Diagnostic = 15 // read: requests that were not answered
	DiagServerNAK        Diagnostic = 16 // read: NAK exceptions answered
	DiagServerBusy       Diagnostic = 17 // read: busy exceptions answered
	DiagOverruns         Diagnostic = 18 // read: characters lost on reception
	DiagClearOverruns    Diagnostic = 20 // clear the counter of lost characters and its flag
)

// answersValue reports whether the answer carries a value and not the request's data.
func (s Diagnostic) answersValue() bool {
	return s == DiagRegister || s >= DiagBusMessages && s <= DiagOverruns
}

// Diagnose asks with function code 8. The data is 0 for most sub-functions.
func Diagnose(sub Diagnostic, data uint16) PDU {
	return request(FuncDiagnostics, uint16(sub), data)
}

// Loopback asks with function code 8 to have data back: an even number of
// bytes, 2 to 250. On RTU not all units know where the request ends if it has
// more than 2.
func Loopback(data []byte) (PDU, error) {
	if len(data) < 2 || len(data)%2 != 0 || len(data) > MaxPDU-3 {
		return nil, fmt.Errorf("function %d: loopback of %d bytes, want an even number from 2 to %d", FuncDiagnostics, len(data), MaxPDU-3)
	}
	return append(PDU{byte(FuncDiagnostics), 0, 0}, data...), nil
}

// asks reports whether p is a request of function 8 with this sub-function.
func (s Diagnostic) asks(p PDU) bool {
	return len(p) >= 5 && p.Function() == FuncDiagnostics && binary.BigEndian.Uint16(p[1:]) == uint16(s)
}

// DiagnosticValue returns the sub-function and the value, or the first two
// bytes sent back, in the answer to function code 8.
func DiagnosticValue(resp PDU) (sub Diagnostic, value uint16, err error) {
	if resp.Function() != FuncDiagnostics || len(resp) < 5 {
		return 0, 0, noAnswer(FuncDiagnostics, resp)
	}
	return Diagnostic(binary.BigEndian.Uint16(resp[1:])), binary.BigEndian.Uint16(resp[3:]), nil
}

// ReadExceptionStatus asks with function code 7 for eight bits whose meaning is
// the unit's own. V1.1b3, section 6.7.
func ReadExceptionStatus() PDU { return PDU{byte(FuncReadExceptionStatus)} }

// ExceptionStatus returns the bits in the answer to function code 7.
func ExceptionStatus(resp PDU) (uint8, error) {
	if resp.Function() != FuncReadExceptionStatus || len(resp) != 2 {
		return 0, noAnswer(FuncReadExceptionStatus, resp)
	}
	return resp[1], nil
}

// GetEventCounter asks with function code 11 for the status and the count of
// events. V1.1b3, section 6.9.
func GetEventCounter() PDU { return PDU{byte(FuncGetEventCounter)} }

// EventCounter returns what the answer to function code 11 says: whether the
// unit still works on an earlier command, and how many requests it has served.
func EventCounter(resp PDU) (busy bool, events uint16, err error) {
	if resp.Function() != FuncGetEventCounter || len(resp) != 5 {
		return false, 0, noAnswer(FuncGetEventCounter, resp)
	}
	return resp[1] == 0xFF, binary.BigEndian.Uint16(resp[3:]), nil
}

// GetEventLog asks with function code 12 for the event log. V1.1b3, section 6.10.
func GetEventLog() PDU { return PDU{byte(FuncGetEventLog)} }

// EventLog is the answer to function code 12.
type EventLog struct {
	Busy     bool   // the unit still works on an earlier command
	Events   uint16 // requests served
	Messages uint16 // messages handled since restart
	Log      []byte // latest first, at most 64: V1.1b3, section 6.10, tells what the bits mean
}

// ParseEventLog reads the answer to function code 12.
func ParseEventLog(resp PDU) (EventLog, error) {
	b, err := counted(FuncGetEventLog, resp)
	if err != nil || len(b) < 6 || len(b) > 6+maxEvents {
		return EventLog{}, noAnswer(FuncGetEventLog, resp)
	}
	return EventLog{
		Busy:     b[0] == 0xFF,
		Events:   binary.BigEndian.Uint16(b[2:]),
		Messages: binary.BigEndian.Uint16(b[4:]),
		Log:      b[6:],
	}, nil
}

// maxEvents is how many events a log holds. V1.1b3, section 6.10.
const maxEvents = 64
