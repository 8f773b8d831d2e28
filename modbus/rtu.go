package modbus

import "time"

// rtuCodec finds frames by their length and CRC. Silence plays no part: an
// operating system can't time 1.75 ms.
type rtuCodec struct{}

func (rtuCodec) seal(dst []byte, unit UnitID, p PDU) []byte { return appendRTU(dst, unit, p) }

func (rtuCodec) open([]byte) bool { return false }

func (rtuCodec) limits() (size int, gap time.Duration) { return maxRTU, 0 }

// answer slides over b and finds the first place where unit, function, the
// length that the request or else the answer itself prescribes and the CRC all
// agree.
func (rtuCodec) answer(b []byte, want shape) (s sighting) {
	s.partial = len(b)
	for i := range b {
		length, agreed := want.agree(b[i:])
		switch {
		case agreed == 0:
		case len(b)-i < length:
			if agreed > s.agreed {
				s.partial, s.agreed = i, agreed
			}
		case intact(b[i:i+length]) && want.accepts(b[i+1:i+length-2]):
			s.found = foundRTU(b, i, length)
			return s
		case agreed >= believed && i <= strayBytes:
			s.damaged = true
		}
	}
	return s
}

func foundRTU(b []byte, start, length int) found {
	return found{start, length, UnitID(b[start]), PDU(b[start+1 : start+length-2])}
}

func (rtuCodec) anyAnswer(b []byte, end int) found { return firstRTU(b, end, 0xFF, AnswerLength) }

// request finds one of a function whose length is known. Where the line fell
// silent behind b, that may be one as well whose length only the silence tells.
func (rtuCodec) request(b []byte, silent bool) found {
	f := firstRTU(b, len(b), lastUnit, RequestLength)
	if f.length == 0 && silent && intact(b) && b[0] <= lastUnit && untold(b[1]) {
		return foundRTU(b, 0, len(b))
	}
	return f
}

// untold reports whether a request of the function may be longer than its bytes
// tell. That of an exception is none.
func untold(function byte) bool {
	switch fc := FunctionCode(function); fc {
	case FuncWriteRegister, FuncDiagnostics, FuncReadDeviceIdentity:
		return true
	default:
		return fc&exceptionBit == 0 && !known([]byte{function})
	}
}

// firstRTU finds the first intact frame that begins before end, is of a unit up
// to last and has a PDU as long as length says.
func firstRTU(b []byte, end int, last UnitID, length func(pdu []byte) int) found {
	for i := range end {
		p := b[min(i+1, len(b)):]
		n := sizeRTU(length(p))
		if n >= minRTU && n <= len(b)-i && b[i] <= byte(last) && intact(b[i:i+n]) {
			return foundRTU(b, i, n)
		}
	}
	return found{}
}

// sizeRTU returns the length of an RTU frame with a PDU of n bytes.
func sizeRTU(n int) int { return 1 + n + 2 }
